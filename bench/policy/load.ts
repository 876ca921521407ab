/** pgbench and a large result through gateways with and without a policy, interleaved in one run. */
import { cpuSeconds, run } from "../processes.ts";
import type { Target } from "./gateway.ts";

export interface LoadOptions {
  readonly pgbench: string;
  readonly psql: string;
  readonly seconds: number;
  readonly rounds: number;
}

function connection({ port, user, database }: Target): string[] {
  return ["-h", "127.0.0.1", "-p", String(port), "-U", user, database];
}

function env({ password }: Target): NodeJS.ProcessEnv {
  return { PGPASSWORD: password, PGSSLMODE: "disable" };
}

function cpuOf({ child }: Target): number {
  return child?.pid === undefined ? 0 : cpuSeconds(child.pid);
}

/** select-only with pgbench's own statements: each of them has its shape met before, and mostly a new literal. */
export function benchLoad(targets: readonly Target[], options: LoadOptions): void {
  for (const mode of ["simple", "prepared"]) {
    for (const clients of [1, 8]) {
      const cpu = new Map<Target, number[]>(targets.map((target) => [target, []]));
      const rate = new Map<Target, number[]>(targets.map((target) => [target, []]));
      for (let round = 0; round < options.rounds; round++) {
        for (const target of targets) {
          const before = cpuOf(target);
          const out = run(
            options.pgbench,
            [
              ...["-n", "-S", "-M", mode, "-c", String(clients), "-j", "1", "-T", String(options.seconds)],
              ...connection(target),
            ],
            env(target),
          );
          const count = Number(/actually processed: (\d+)/.exec(out)?.[1]);
          cpu.get(target)?.push(((cpuOf(target) - before) * 1e6) / count);
          rate.get(target)?.push(Number(/tps = ([\d.]+)/.exec(out)?.[1]));
        }
      }
      console.log(`\nselect-only, ${mode}, ${clients} client${clients === 1 ? "" : "s"}`);
      for (const target of targets)
        console.log(
          `  ${target.name.padEnd(14)} ${median(rate.get(target)).toFixed(0).padStart(7)}/s  ${median(cpu.get(target)).toFixed(1).padStart(6)} us CPU a statement`,
        );
    }
  }
}

/** 500,000 rows of seven columns, read by psql. */
export function benchRows(
  targets: readonly (Target & { readonly table: string })[],
  options: LoadOptions,
): void {
  const wall = new Map<Target, number[]>(targets.map((target) => [target, []]));
  const cpu = new Map<Target, number[]>(targets.map((target) => [target, []]));
  for (let round = 0; round < Math.max(options.rounds, 3); round++) {
    for (const target of targets) {
      const before = cpuOf(target);
      const began = performance.now();
      run(
        options.psql,
        ["-X", "-At", "-o", "/dev/null", "-c", `select * from ${target.table}`, ...connection(target)],
        env(target),
      );
      wall.get(target)?.push(performance.now() - began);
      cpu.get(target)?.push(cpuOf(target) - before);
    }
  }
  console.log("\nselect of 500,000 rows with psql");
  const direct = median(wall.get(targets[0] as Target));
  for (const target of targets) {
    const ms = median(wall.get(target));
    console.log(
      `  ${target.name.padEnd(28)} ${ms.toFixed(0).padStart(6)} ms = ${(ms / direct).toFixed(2)} x direct   ${(median(cpu.get(target)) * 2).toFixed(2)} us CPU a row`,
    );
  }
}

export function median(numbers: readonly number[] = []): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
