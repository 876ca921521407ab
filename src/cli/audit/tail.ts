/** `postern audit tail`: the latest records, one sentence each, and what comes after them. */
import { setTimeout as sleep } from "node:timers/promises";
import { at, type Entry, type Json } from "../../audit/read/leaves.ts";
import { sentence } from "../../audit/read/sentence.ts";
import { Follower } from "../../audit/read/tail.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { findPlace, placeOptions, placeUsage } from "./place.ts";

const usage = `Usage: postern audit tail [-n N] [-f] [--json]

  -n N            the latest N records (default 20)
  -f, --follow    go on until interrupted
      --json      one record a line
${placeUsage}`;

const pollMs = 250;
/** Intents remembered for the sentences of their outcomes. */
const remembered = 10_000;

export async function tail(args: string[]): Promise<number> {
  const options = {
    ...placeOptions,
    n: { type: "string", short: "n", default: "20" },
    follow: { type: "boolean", short: "f" },
    json: { type: "boolean" },
  } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const count = Number(parsed.values.n);
  if (!Number.isSafeInteger(count) || count < 0) throw new UsageError("-n is not a number", usage);
  const place = await findPlace(parsed.values, usage);
  const followers = place.logs.map((log) => new Follower(log));
  const intents = new Map<string, Json>();
  const print = (entries: readonly Entry[]): void => {
    for (const entry of entries)
      process.stdout.write(
        parsed.values.json === true ? `${asJson(entry)}\n` : `${asText(entry, intents)}\n`,
      );
  };
  print(
    byTime(followers.flatMap((f) => f.last(count))).slice(count === 0 ? Number.POSITIVE_INFINITY : -count),
  );
  if (parsed.values.follow !== true) return 0;
  const stop = new AbortController();
  const end = () => stop.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  while (!stop.signal.aborted) {
    print(byTime(followers.flatMap((f) => f.more())));
    await sleep(pollMs, undefined, { signal: stop.signal }).catch(() => {});
  }
  process.off("SIGINT", end).off("SIGTERM", end);
  return 0;
}

function byTime(entries: Entry[]): Entry[] {
  return entries.sort((a, b) => String(a.leaf.time).localeCompare(String(b.leaf.time)));
}

function asJson({ log, index, leaf }: Entry): string {
  return JSON.stringify({ log, index, ...leaf });
}

function asText({ log, index, leaf }: Entry, intents: Map<string, Json>): string {
  if (leaf.type === "statement.intent") {
    intents.set(`${log} ${index}`, leaf);
    const oldest = intents.keys().next().value;
    if (intents.size > remembered && oldest !== undefined) intents.delete(oldest);
    return sentence(leaf);
  }
  const ref = `${log} ${String(at(leaf, "intent.index"))}`;
  const intent = intents.get(ref) ?? null;
  intents.delete(ref);
  return sentence(leaf, intent);
}
