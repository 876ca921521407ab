/** `postern approvals watch`: what waits, as it comes. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Approval } from "../../facts/approval.ts";
import { readArgs } from "../lib/args.ts";
import {
  isObject,
  openRest,
  type Rest,
  RestError,
  reporting,
  restOptions,
  restUsage,
  Unreachable,
} from "../lib/rest.ts";
import { printable } from "../lib/table.ts";
import { approvalOf, pageOf } from "./decode.ts";
import { listText, whatOf } from "./text.ts";

const usage = `Usage: postern approvals watch [--json]

What waits now, then every request and every decision as it happens, until interrupted. A bell rings for new ones.

      --json       one approval a line
${restUsage}`;

const firstWaitMs = 500;
const longestWaitMs = 10_000;

export async function watch(args: string[]): Promise<number> {
  const parsed = readArgs(args, usage, { ...restOptions, json: { type: "boolean" } } as const);
  if (parsed === null) return 0;
  const { values } = parsed;
  const rest = await openRest(values, usage);
  const stop = new AbortController();
  const end = () => stop.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    return await reporting("approvals watch", () => follow(rest, values.json === true, stop.signal));
  } finally {
    process.off("SIGINT", end).off("SIGTERM", end);
  }
}

async function follow(rest: Rest, json: boolean, signal: AbortSignal): Promise<number> {
  /** States already told, by id. */
  const told = new Map<string, string>();
  const news = (one: Approval): boolean => {
    const state = `${one.state} ${one.votes.length}`;
    if (told.get(one.id) === state) return false;
    told.set(one.id, state);
    return true;
  };
  let wait = firstWaitMs;
  for (let first = true; !signal.aborted; first = false) {
    try {
      // The stream is open before the list is asked for: nothing falls between them.
      const events = rest.events(signal)[Symbol.asyncIterator]();
      let next = events.next();
      next.catch(() => {});
      const waiting = pageOf(await rest.get("/api/approvals", { state: "pending", limit: "100" })).items;
      const fresh = waiting.map(approvalOf).filter(news);
      if (first && !json) process.stdout.write(listText(fresh, Date.now()));
      else for (const one of fresh) print(one, json);
      wait = firstWaitMs;
      for (let step = await next; step.done !== true; step = await next) {
        next = events.next();
        next.catch(() => {});
        const { event, data } = step.value;
        if (event !== "approval" || !isObject(data) || typeof data.id !== "string") continue;
        const one = approvalOf(await rest.get(`/api/approvals/${encodeURIComponent(data.id)}`));
        if (news(one)) print(one, json);
      }
    } catch (error) {
      if (signal.aborted) return 0;
      // A gateway that refuses will refuse again; one that restarts comes back.
      if (error instanceof RestError && error.status < 500) throw error;
      if (!(error instanceof RestError || error instanceof Unreachable)) throw error;
      if (first) throw error;
      if (wait === firstWaitMs)
        process.stderr.write("postern approvals watch: the gateway is away; waiting for it\n");
    }
    await sleep(wait, undefined, { signal }).catch(() => {});
    wait = Math.min(longestWaitMs, wait * 2);
  }
  return 0;
}

function print(one: Approval, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(one)}\n`);
    return;
  }
  const bell = one.state === "pending" && one.votes.length === 0 && process.stdout.isTTY ? "\u0007" : "";
  const { subject, kind } = one.requester;
  const time = new Date().toISOString().slice(11, 19);
  const line = `${time}  ${one.state.padEnd(8)}  ${one.id}  ${kind} ${subject}  ${one.database}  ${whatOf(one)}`;
  process.stdout.write(`${bell}${printable(line)}\n`);
}
