import {
  closeSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verifyLog } from "../../src/audit/verify/index.ts";
import {
  conclude,
  intend,
  lines,
  open,
  type Place,
  place,
  safe,
  segments,
  sessionRecord,
  writeSample,
} from "./helpers.ts";

let sample: Place;
let copies = 0;

beforeAll(async () => {
  sample = place();
  await writeSample(sample);
});
afterAll(() => sample.remove());

/** A copy of the sample's folder, to be damaged. */
function copy(): string {
  const to = join(sample.root, `copy-${copies++}`);
  mkdirSync(to);
  for (const part of ["segments", "log.vkey", "checkpoint", "leaves"])
    cpSync(join(sample.dir, part), join(to, part), { recursive: true });
  return to;
}

function last(dir: string): string {
  const name = readdirSync(join(dir, "segments")).sort().at(-1) ?? "";
  return join(dir, "segments", name);
}

/** Applies `change` to the lines of the last segment of a copy. */
function edited(change: (lines: string[]) => string[]): string {
  const dir = copy();
  const file = last(dir);
  writeFileSync(file, change(readFileSync(file, "utf8").split(/(?<=\n)/)).join(""));
  return dir;
}

test("the sample has what the attacks need: two segments, leaves, frames, MACs and checkpoints", () => {
  expect(segments(sample).length).toBeGreaterThan(1);
  expect(new Set(lines(sample).map((l) => l.tag))).toEqual(new Set(["L", "S", "T", "B", "C"]));
  const report = verifyLog(sample.dir);
  expect(report).toMatchObject({ ok: true, unsignedTail: null, firstBadPlace: null });
  expect(report.size).toBe(lines(sample).filter((l) => l.tag === "L").length);
});

describe("every single-bit flip is found, and the verifier never throws", () => {
  /** A log with a batch under a MAC and one under a checkpoint, as small as they come: each byte costs eight verifications. */
  async function small(): Promise<Place> {
    const at = place();
    const log = await open(at);
    const session = log.session({ ...sessionRecord, claimed: {} });
    const sent = intend(log, session, "x");
    await safe(log, "process");
    conclude(log, session, sent);
    await safe(log, "disk");
    log.event("admin.action", { what: "x" });
    await log.close();
    return at;
  }

  test.each(["segments", "checkpoint", "leaves", "log.vkey"])("in %s", { timeout: 120_000 }, async (part) => {
    const at = await small();
    try {
      expect(new Set(lines(at).map((l) => l.tag))).toEqual(new Set(["L", "S", "T", "B", "C"]));
      // One witness at a time: what is flipped must be found without the help of the copies beside it.
      if (part !== "leaves") rmSync(join(at.dir, "leaves"));
      if (part !== "checkpoint") rmSync(join(at.dir, "checkpoint"));
      const path = part === "segments" ? join(at.dir, part, segments(at)[0] ?? "") : join(at.dir, part);
      const bytes = readFileSync(path);
      const fd = openSync(path, "r+");
      const missed: number[] = [];
      try {
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const byte = bytes.subarray(bit >> 3, (bit >> 3) + 1);
          byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
          writeSync(fd, byte, 0, 1, bit >> 3);
          if (verifyLog(at.dir).ok) missed.push(bit);
          byte[0] = (byte[0] ?? 0) ^ (1 << (bit & 7));
          writeSync(fd, byte, 0, 1, bit >> 3);
        }
      } finally {
        closeSync(fd);
      }
      expect(missed).toEqual([]);
      expect(verifyLog(at.dir).ok).toBe(true);
    } finally {
      at.remove();
    }
  });
});

describe("changes of whole lines", () => {
  const leaf = (l: string) => l.startsWith("L ");

  test("an edited leaf", () => {
    const report = verifyLog(edited((l) => l.map((x) => x.replace("agents-read", "agents-rule"))));
    expect(report.ok).toBe(false);
    expect(report.firstBadPlace).toMatchObject({ file: "leaves" });
  });

  test("an edited leaf, with the leaves file gone", () => {
    const dir = edited((l) => l.map((x) => x.replace("agents-read", "agents-rule")));
    rmSync(join(dir, "leaves"));
    const { ok, firstBadPlace } = verifyLog(dir);
    expect(ok).toBe(false);
    expect(firstBadPlace?.problem).toMatch(/do not give its root/);
  });

  test("every deleted line", () => {
    const count = readFileSync(last(sample.dir), "utf8").split("\n").length - 1;
    for (let i = 0; i < count; i++)
      expect(verifyLog(edited((l) => l.filter((_, j) => j !== i))).ok, `line ${i}`).toBe(false);
  });

  test("every two neighbours exchanged", () => {
    const count = readFileSync(last(sample.dir), "utf8").split("\n").length - 1;
    for (let i = 0; i + 1 < count; i++) {
      const dir = edited((l) => {
        const [a = "", b = ""] = [l[i], l[i + 1]];
        return l.toSpliced(i, 2, b, a);
      });
      expect(verifyLog(dir).ok, `line ${i}`).toBe(false);
    }
  });

  test("every line inserted a second time", () => {
    const count = readFileSync(last(sample.dir), "utf8").split("\n").length - 1;
    for (let i = 0; i < count; i++)
      expect(verifyLog(edited((l) => l.toSpliced(i, 0, l[i] ?? ""))).ok, `line ${i}`).toBe(false);
  });

  test("a frame or MAC line exchanged for another of the same log, with everything else in place", () => {
    for (const tag of ["S ", "B "]) {
      const other = readFileSync(join(sample.dir, "segments", segments(sample)[0] ?? ""), "utf8")
        .split(/(?<=\n)/)
        .find((l) => l.startsWith(tag));
      expect(other).toBeDefined();
      const dir = edited((l) =>
        l.toSpliced(
          l.findIndex((x) => x.startsWith(tag)),
          1,
          other ?? "",
        ),
      );
      expect(verifyLog(dir).ok).toBe(false);
    }
  });

  test("foreign lines", () => {
    for (const line of [
      "\n",
      "X y\n",
      "L {}\n",
      "L not json\n",
      "S 0 2026-01-01 AAAA\n",
      `B ${"A".repeat(43)}=\n`,
      "C AAAA\n",
      `T ${"A".repeat(22)}==\n`,
      `T ${"A".repeat(21)}B==\n`,
    ])
      expect(verifyLog(edited((l) => [...l, line])).firstBadPlace === null, line).toBe(false);
  });

  test("a missing, renamed, added or emptied segment", () => {
    const [first = "", second = ""] = segments(sample);
    const damage: ((dir: string) => void)[] = [
      (dir) => rmSync(join(dir, first)),
      (dir) => rmSync(join(dir, second)),
      (dir) => renameSync(join(dir, second), join(dir, second.replace(/\d\.log$/, "9.log"))),
      (dir) => writeFileSync(join(dir, "note.txt"), "hello"),
      (dir) => copyFileSync(join(dir, first), join(dir, "00000000000000000999.log")),
      (dir) => truncateSync(join(dir, first), 0),
    ];
    for (const [i, act] of damage.entries()) {
      const dir = copy();
      act(join(dir, "segments"));
      expect(verifyLog(dir).ok, `damage ${i}`).toBe(false);
    }
  });

  test("the first bad place names file, byte and record", () => {
    const dir = edited((l) => l.toSpliced(l.findIndex(leaf), 0, 'L {"v":1}\n'));
    rmSync(join(dir, "leaves"));
    const { firstBadPlace } = verifyLog(dir);
    expect(firstBadPlace?.file).toMatch(/^segments\/\d{20}\.log$/);
    expect(firstBadPlace?.offset).toBeGreaterThan(0);
  });
});

describe("truncation and roll-back", () => {
  test("cut at every byte of the last segment: found by the checkpoint beside it, if not by itself", () => {
    const dir = copy();
    const file = last(dir);
    const size = readFileSync(file).length;
    for (let at = size - 1; at >= 0; at -= 7) {
      truncateSync(file, at);
      expect(verifyLog(dir).ok, `at ${at}`).toBe(false);
    }
  });

  test("cut at a checkpoint with everything beside it made to fit: only a checkpoint kept elsewhere shows it", () => {
    const kept = readFileSync(join(sample.dir, "checkpoint"));
    const dir = edited((l) => l.slice(0, l.findIndex((x) => x.startsWith("C ")) + 1));
    rmSync(join(dir, "checkpoint"));
    rmSync(join(dir, "leaves"));
    expect(verifyLog(dir).ok).toBe(true);
    const report = verifyLog(dir, { checkpoint: kept });
    expect(report).toMatchObject({ ok: false, continues: false });
    expect(report.firstBadPlace?.problem).toMatch(/cut off or rolled back/);
  });

  test("a snapshot put back, and gone on from", async () => {
    const other = place();
    try {
      await writeSample(other);
      cpSync(other.root, join(sample.root, "snapshot"), { recursive: true });
      const more = async () => {
        const log = await open(other);
        const session = log.session(sessionRecord);
        conclude(log, session, intend(log, session));
        await log.close();
      };
      await more();
      const kept = readFileSync(join(other.dir, "checkpoint"));
      expect(verifyLog(other.dir, { checkpoint: kept })).toMatchObject({ ok: true, continues: true });
      rmSync(other.root, { recursive: true });
      cpSync(join(sample.root, "snapshot"), other.root, { recursive: true });
      await more();
      await more();
      expect(verifyLog(other.dir).ok).toBe(true);
      const report = verifyLog(other.dir, { checkpoint: kept });
      expect(report).toMatchObject({ ok: false, continues: false });
      expect(report.firstBadPlace?.problem).toMatch(/are not those/);
    } finally {
      other.remove();
    }
  });

  test("a log written anew with another key", async () => {
    const other = place();
    try {
      await writeSample(other);
      const vkey = readFileSync(join(sample.dir, "log.vkey"), "utf8");
      expect(verifyLog(other.dir).ok).toBe(true);
      expect(verifyLog(other.dir, { vkey }).ok).toBe(false);
    } finally {
      other.remove();
    }
  });

  test("an older checkpoint kept elsewhere is continued", () => {
    const notes = lines(sample)
      .filter((l) => l.tag === "C")
      .map((l) => Buffer.from(l.text, "base64"));
    for (const checkpoint of notes)
      expect(verifyLog(sample.dir, { checkpoint })).toMatchObject({ ok: true, continues: true });
  });
});

test("folders that are no log", () => {
  const dir = join(sample.root, "nothing");
  mkdirSync(dir);
  expect(verifyLog(dir).ok).toBe(false);
  expect(verifyLog(join(dir, "missing")).ok).toBe(false);
  expect(verifyLog(dir, { vkey: "garbage" }).ok).toBe(false);
  expect(verifyLog(sample.dir, { checkpoint: Buffer.from("garbage") }).ok).toBe(false);
});
