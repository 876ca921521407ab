/** What one client that sends poison does to another: latency of pgbench with and without it. */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { Target } from "./gateway.ts";
import { type LoadOptions, median } from "./load.ts";

/** Deep, long and broken in many ways; each is another text. */
function poison(): string[] {
  const deep = (open: string, close: string, n: number) => open.repeat(n) + close.repeat(n);
  const texts: string[] = [];
  for (let i = 0; i < 100; i++) {
    const n = 500 + 40 * i;
    const forms = [
      `select ${deep("(", ")", n).replace("()", `(${i})`)}`,
      `select ${"- ".repeat(n)}${i}`,
      `select ${Array.from({ length: n }, () => "1").join("+")}+${i}`,
      `select ${"case when true then ".repeat(n)}${i}${" end".repeat(n)}`,
      `select ${Array.from({ length: n }, () => "select 1").join(" union ")} -- ${i}`,
      `select ${deep("array[", "]", n)} -- ${i}`,
      `${"select * from (".repeat(n)}select ${i}${") x".repeat(n)}`,
      `select ${"not ".repeat(n)}true = ${i}`,
      `select ${"f(".repeat(n)}${i}${")".repeat(n)}`,
      `select '${"\\'".repeat(n)} ${i}`,
    ];
    texts.push(forms[i % forms.length] as string);
  }
  return texts;
}

const hostile: readonly { readonly name: string; texts(): string[] }[] = [
  { name: "100 poisonous statements", texts: poison },
  {
    name: "a nested comment of 200 KB",
    texts: () => [`select 1 ${"/*".repeat(50_000)}${"*/".repeat(50_000)}`],
  },
  { name: "a list of 4 MB", texts: () => [`select 1 where 1 in (${"1,".repeat(2 * 1024 * 1024 - 100)}1)`] },
  { name: "a literal of 4 MB", texts: () => [`select length('${"x".repeat(4 * 1024 * 1024 - 100)}')`] },
];

export async function benchBeside(target: Target, folder: string, options: LoadOptions): Promise<void> {
  console.log("\nlatency of pgbench (select-only, prepared, 2 clients) beside a hostile client, medians");
  await watched(target, folder, options, null);
  for (const { name, texts } of hostile) {
    if (process.env.BENCH_HOSTILE !== undefined && !name.includes(process.env.BENCH_HOSTILE)) continue;
    const alone: number[] = [];
    const beside: number[] = [];
    const took: number[] = [];
    for (let round = 0; round < options.rounds; round++) {
      alone.push((await watched(target, folder, options, null)).p99);
      const { p99, ms } = await watched(target, folder, options, texts());
      beside.push(p99);
      took.push(ms);
    }
    const [without, with_] = [median(alone), median(beside)];
    console.log(
      `  ${name.padEnd(28)} p99 ${without.toFixed(2)} -> ${with_.toFixed(2)} ms = ${(with_ / without).toFixed(2)} x   (answered after ${median(took).toFixed(0)} ms)`,
    );
  }
}

/** Runs pgbench and, some time after it began, the hostile client. */
async function watched(
  target: Target,
  folder: string,
  options: LoadOptions,
  texts: readonly string[] | null,
): Promise<{ p99: number; ms: number }> {
  const prefix = `latency-${Math.random().toString(36).slice(2)}`;
  const child = spawn(
    options.pgbench,
    [
      ...["-n", "-S", "-M", "prepared", "-c", "2", "-j", "1", "-T", String(options.seconds), "-l"],
      ...["--log-prefix", join(folder, prefix), "-h", "127.0.0.1", "-p", String(target.port)],
      ...["-U", target.user, target.database],
    ],
    { stdio: "ignore", env: { ...process.env, PGPASSWORD: target.password, PGSSLMODE: "disable" } },
  );
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let ms = 0;
  if (texts !== null) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const client = new pg.Client({
      host: "127.0.0.1",
      port: target.port,
      user: target.user,
      password: target.password,
      database: target.database,
    });
    client.on("error", () => undefined);
    await client.connect();
    const began = performance.now();
    for (const text of texts) await client.query(text).catch(() => undefined);
    ms = performance.now() - began;
    await client.end();
  }
  if ((await ended) !== 0) throw new Error("pgbench failed");
  const times: number[] = [];
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(prefix)) continue;
    for (const line of readFileSync(join(folder, file), "utf8").split("\n")) {
      const [, , us] = line.split(" ");
      if (us !== undefined) times.push(Number(us) / 1000);
    }
  }
  times.sort((a, b) => a - b);
  return { p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN, ms };
}
