/**
 * What masking costs: CPU per row (process.cpuUsage, all threads) of rows with seven columns, two of them masked, in chunks
 * of 64 KiB as they come from a socket. `node bench/masking.ts [rows]`; `--types` measures each type by itself (masktypes.ts).
 */
import { createSecretKey, randomBytes } from "node:crypto";
import type { Mask } from "../src/facts/effects.ts";
import {
  builtinKinds,
  createContentGuard,
  createCopyMasker,
  createMaskKeys,
  createRowMasker,
  MaskOutput,
} from "../src/masking/index.ts";
import { dataRow } from "./maskrows.ts";
import { measureTypes } from "./masktypes.ts";

const key = createSecretKey(randomBytes(32));
if (process.argv[2] === "--types") {
  measureTypes(createMaskKeys(key), process.argv[3], process.argv[4]);
  process.exit();
}
const rows = Number(process.argv[2] ?? 300_000);

/** id, name, e-mail, phone, city, created, balance. */
const types = [23, 25, 25, 25, 25, 1184, 1700];

/** Chunks of whole rows. `people`: how many different persons; rows repeat them. */
function chunksOf(people: number): { chunk: Buffer; rows: number }[] {
  const chunks: { chunk: Buffer; rows: number }[] = [];
  let pending: Buffer[] = [];
  let size = 0;
  for (let i = 0; i < 20_000; i++) {
    const n = i % people;
    const row = dataRow(
      [
        String(i),
        `Maria Gonzalez ${n}`,
        `maria.gonzalez.${n}@example.com`,
        `+49 151 ${String(n).padStart(8, "0")}`,
        "Rothenburg ob der Tauber",
        `2024-05-06 07:08:09.${String(100_000 + n)}+00`,
        "12345.67",
      ].map((text) => Buffer.from(text)),
    );
    pending.push(row);
    size += row.length;
    if (size > 64 * 1024) {
      chunks.push({ chunk: Buffer.concat(pending), rows: pending.length });
      pending = [];
      size = 0;
    }
  }
  return chunks;
}

function run(name: string, masks: readonly (Mask | null)[], people: number): void {
  const chunks = chunksOf(people);
  const plan = {
    columns: masks.map((mask) => (mask === null ? null : { mask, label: "pii", column: "c", domain: "d" })),
    scrub: true,
  };
  const columns = types.map((type) => ({ type, typmod: -1, format: 0 as const }));
  const masker = createRowMasker(plan, columns, createMaskKeys(key));
  const out = new MaskOutput();
  function go(count: number): number {
    let bytes = 0;
    for (let done = 0; done < count; )
      for (const chunk of chunks) {
        masker.maskInto(chunk.chunk, 0, chunk.chunk.length, out);
        bytes += out.take().length;
        done += chunk.rows;
        if (done >= count) break;
      }
    return bytes;
  }
  go(rows / 4);
  const cpu = process.cpuUsage();
  go(rows);
  const used = process.cpuUsage(cpu);
  console.log(name.padEnd(44), ((used.user + used.system) / rows).toFixed(3).padStart(7), "us CPU/row");
}

const no = null;
const partial: Mask = { kind: "partial" };
const hash: Mask = { kind: "hash" };
run("2 of 7 null", [no, no, { kind: "null" }, { kind: "null" }, no, no, no], 20_000);
run("2 of 7 redact", [no, no, { kind: "redact" }, { kind: "redact" }, no, no, no], 20_000);
run("2 of 7 partial", [no, no, partial, partial, no, no, no], 20_000);
run(
  "2 of 7 keep",
  [no, no, { kind: "keep", first: 1, last: 2 }, { kind: "keep", first: 1, last: 2 }, no, no, no],
  20_000,
);
run("2 of 7 hash, 500 different values", [no, no, hash, hash, no, no, no], 500);
run("2 of 7 hash, all values different", [no, no, hash, hash, no, no, no], 20_000);
run("2 of 7 hash, integer and timestamp", [hash, no, no, no, no, hash, no], 20_000);
run("2 of 7 date, numeric partial", [no, no, no, no, no, { kind: "date", unit: "month" }, partial], 20_000);

{
  // The second line over the five columns that have no label, and COPY of the same rows.
  const chunks = chunksOf(20_000);
  const columns = types.map((type, i) => ({
    type,
    typmod: -1,
    format: 0 as const,
    name: `c${i}`,
    labelled: false,
  }));
  const kinds = builtinKinds.filter((kind) => kind !== "ipv4");
  const rules = kinds.map((kind) => ({ kind, pattern: null, action: "alert" as const }));
  const out = new MaskOutput();
  // Never judged: every cell is looked at.
  const settings = { rules, mask: { kind: "redact" } as const, sampleRows: Number.POSITIVE_INFINITY };
  const plan = { columns: types.map(() => null), scrub: false };
  const session = createMaskKeys(key);
  const guarded = createRowMasker(plan, columns, session, createContentGuard(settings, columns, session));
  const detected = measure((chunk) => guarded.maskInto(chunk, 0, chunk.length, out), chunks, out);
  console.log("second line, every cell of four text columns".padEnd(44), detected);

  const copied = copiedChunks();
  for (const mask of [partial, hash]) {
    const copyPlan = {
      columns: [no, no, mask, mask, no, no, no].map(
        (one) => one && { mask: one, label: "pii", column: "c", domain: "d" },
      ),
      scrub: true,
    };
    const copy = createCopyMasker({ format: "text", plan: copyPlan, columns, keys: session });
    console.log(
      `COPY, 2 of 7 ${mask.kind}`.padEnd(44),
      measure((chunk) => copy.maskInto(chunk, 0, chunk.length, out), copied, out),
    );
  }
}

/** Lines of 20,000 persons, each a CopyData message. */
function copiedChunks(): { chunk: Buffer; rows: number }[] {
  return Array.from({ length: 40 }, (_, part) => {
    const messages = Array.from({ length: 500 }, (_, i) => {
      const n = part * 500 + i;
      const line = Buffer.from(
        `${n}\tMaria Gonzalez ${n}\tmaria.gonzalez.${n}@example.com\t+49 151 ${String(n).padStart(8, "0")}\tRothenburg ob der Tauber\t2024-05-06 07:08:09.123456+00\t12345.67\n`,
      );
      const head = Buffer.from("d\0\0\0\0", "latin1");
      head.writeInt32BE(line.length + 4, 1);
      return Buffer.concat([head, line]);
    });
    return { chunk: Buffer.concat(messages), rows: messages.length };
  });
}

function measure(
  mask: (chunk: Buffer) => void,
  chunks: readonly { chunk: Buffer; rows: number }[],
  out: MaskOutput,
): string {
  let done = 0;
  const go = (count: number): void => {
    for (done = 0; done < count; )
      for (const chunk of chunks) {
        mask(chunk.chunk);
        out.take();
        done += chunk.rows;
        if (done >= count) break;
      }
  };
  go(rows / 4);
  const cpu = process.cpuUsage();
  go(rows);
  const used = process.cpuUsage(cpu);
  return `${((used.user + used.system) / rows).toFixed(3).padStart(7)} us CPU/row`;
}
