/** Limits of a decision as words. */
import { bytes, count } from "../lib/text.ts";
import { duration } from "../lib/time.ts";

const names: Readonly<Record<string, (value: number) => string>> = {
  rows: (n) => `at most ${count(n)} rows`,
  bytes: (n) => `at most ${bytes(n)}`,
  timeoutMs: (n) => `at most ${duration(n)}`,
  timeout_ms: (n) => `at most ${duration(n)}`,
  affectedRows: (n) => `at most ${count(n)} rows changed`,
  affected_rows: (n) => `at most ${count(n)} rows changed`,
  perMinute: (n) => `${count(n)} a minute`,
  per_minute: (n) => `${count(n)} a minute`,
};

/** Limits that this console does not know are shown by their own name. */
export function limitWords(limits: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(limits).flatMap(([name, value]) => {
    if (typeof value !== "number") return [];
    return [names[name]?.(value) ?? `${name} ${count(value)}`];
  });
}
