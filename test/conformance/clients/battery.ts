/** What the batteries of Node drivers share: parts with a name and a time limit, and output that is the same every time. */
import { createHash } from "node:crypto";

const limitMs = 60_000;

/** Runs one part: prints its name, then what it prints. An exception that it does not catch itself is UNEXPECTED. */
export async function part(name: string, run: () => Promise<void>): Promise<void> {
  console.log(`## ${name}`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("TIMEOUT")), limitMs);
  });
  try {
    await Promise.race([run(), late]);
  } catch (error) {
    console.log(
      error instanceof Error && error.message === "TIMEOUT" ? "TIMEOUT" : `UNEXPECTED ${failure(error)}`,
    );
    if (error instanceof Error) console.log(error.stack?.split("\n").slice(1, 4).join("\n"));
  } finally {
    clearTimeout(timer);
  }
}

export function print(...values: unknown[]): void {
  console.log(values.map((v) => (typeof v === "string" ? v : json(v))).join(" "));
}

export function json(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v));
}

export const md5 = (data: string | Buffer): string => createHash("md5").update(data).digest("hex");

/** All fields of a server's error that drivers keep. */
const fields = [
  ...[
    "name",
    "severity",
    "severity_local",
    "code",
    "message",
    "detail",
    "hint",
    "position",
    "internalPosition",
    "internalQuery",
  ],
  ...[
    "where",
    "schema",
    "schema_name",
    "table",
    "table_name",
    "column",
    "column_name",
    "dataType",
    "constraint",
    "constraint_name",
    "file",
    "line",
    "routine",
  ],
];

export function failure(error: unknown): string {
  const found = error as Record<string, unknown>;
  return json(Object.fromEntries(fields.filter((f) => found[f] !== undefined).map((f) => [f, found[f]])));
}

/** Prints what a promise gives, or how it fails. */
export async function outcome(what: string, promise: PromiseLike<unknown>): Promise<void> {
  try {
    print(what, await promise);
  } catch (error) {
    print(what, "failed", failure(error));
  }
}
