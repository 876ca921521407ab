/** What the format allows behind the last checkpoint, where no signature tells, and what a cut-off end may not hide. */
import { appendFileSync, cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
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
} from "./helpers.ts";

let at: Place;
beforeEach(async () => {
  at = place("disk");
  const log = await open(at);
  const session = log.session(sessionRecord);
  for (let i = 0; i < 3; i++) {
    conclude(log, session, intend(log, session));
    await log.settle();
  }
  await log.close();
});
afterEach(() => at.remove());

const segment = (of: Place = at) => join(of.dir, "segments", segments(of).at(-1) ?? "");
const mac = `B ${Buffer.alloc(32, 7).toString("base64")}\n`;
const tag = `T ${Buffer.alloc(16, 7).toString("base64")}\n`;
const problem = (of: Place = at) => verifyLog(of.dir).firstBadPlace?.problem;

test("a last checkpoint that became a MAC shows by the checkpoint beside the segments, and by one kept elsewhere", () => {
  const kept = readFileSync(join(at.dir, "checkpoint"));
  const { size } = verifyLog(at.dir);
  const text = readFileSync(segment(), "latin1");
  writeFileSync(segment(), `${text.slice(0, text.lastIndexOf("\nC ") + 1)}${mac}`, "latin1");
  expect(verifyLog(at.dir)).toMatchObject({
    ok: false,
    leaves: size,
    firstBadPlace: { file: "checkpoint", torn: false },
  });
  rmSync(join(at.dir, "checkpoint"));
  expect(verifyLog(at.dir)).toMatchObject({ ok: true, leaves: size, unsignedTail: { leaves: 1 } });
  for (const options of [{ checkpoint: kept }, { anchors: [{ name: "file", note: kept }] }])
    expect(verifyLog(at.dir, options)).toMatchObject({ ok: false, firstBadPlace: { torn: false } });
});

test("a log cut within a line is not taken for one of a crash when what is beside it, or kept elsewhere, was longer", () => {
  const kept = readFileSync(join(at.dir, "checkpoint"));
  const leaf = lines(at).filter((l) => l.tag === "L")[4];
  const checkpoint = lines(at)
    .filter((l) => l.tag === "C" && l.at < (leaf?.at ?? 0))
    .at(-1);
  truncateSync(segment(), (leaf?.at ?? 0) + 9);
  const place = () => verifyLog(at.dir).firstBadPlace;
  expect(place()).toMatchObject({ file: "leaves", torn: false });
  rmSync(join(at.dir, "leaves"));
  expect(place()).toMatchObject({ file: "checkpoint", torn: false });
  writeFileSync(join(at.dir, "checkpoint"), Buffer.from(checkpoint?.text ?? "", "base64"));
  expect(place()).toMatchObject({ problem: "the last line is cut off", torn: true });
  for (const options of [{ checkpoint: kept }, { anchors: [{ name: "file", note: kept }] }])
    expect(verifyLog(at.dir, options)).toMatchObject({ ok: false, firstBadPlace: { torn: false } });
});

test("no more than a torn line, before anything was signed, is no log", () => {
  truncateSync(segment(), 20);
  rmSync(join(at.dir, "checkpoint"));
  rmSync(join(at.dir, "leaves"));
  expect(verifyLog(at.dir)).toMatchObject({ ok: false, firstBadPlace: { torn: false } });
});

test("batches that no checkpoint covers have the form of batches", () => {
  const whole = readFileSync(segment());
  const frames = lines(at).filter((l) => l.tag === "S");
  const next = Number(frames.at(-1)?.text.split(" ")[0]) + 1;
  const sealed = (text: string, number = next) => `S ${number} 2026-11-23 ${text}\n`;
  const behind = (...texts: string[]) => {
    writeFileSync(segment(), whole);
    appendFileSync(segment(), texts.join(""));
    return problem();
  };
  expect(behind('L {"a":1}\n', sealed("AAAA"), mac)).toBeUndefined();
  for (const text of ["AAA=", "AA==", "AAAAAAA=", "AAE="])
    expect(behind('L {"a":1}\n', sealed(text), mac), text).toBeUndefined();
  for (const text of [
    "",
    "A",
    "AA",
    "AAA",
    "AAB=",
    "AB==",
    "AA=A",
    "A===",
    "====",
    "AAAA=",
    "AA==AAAA",
    "AA-A",
  ])
    expect(behind('L {"a":1}\n', sealed(text), mac), text).toBe("a malformed frame");
  expect(behind('L {"a":1}\n', sealed("AAAA"), tag, mac)).toBe(
    "a frame ended without a checkpoint behind it",
  );
  expect(behind('L {"a":1}\n', sealed("AAAA"), mac, 'L {"a":1}\n', tag, mac)).toBe(
    "a frame ended without a checkpoint behind it",
  );
  // Where the day changes a frame ends right before the next begins.
  expect(
    behind('L {"a":1}\n', sealed("AAAA"), mac, 'L {"a":1}\n', tag, sealed("AAAA", next + 1), mac),
  ).toBeUndefined();
  expect(behind('L {"a":1}\n', sealed("AAAA"), mac, 'L {"a":1}\n', tag, sealed("AAAA"), mac)).toBe(
    `frame ${next} where ${next + 1} is due`,
  );
});

test("a frame whose writer was killed does not go on behind the checkpoint of the next", async () => {
  const log = await open(at);
  const session = log.session(sessionRecord);
  intend(log, session);
  await safe(log, "process");
  const killed = place();
  try {
    // As the disk is now: a piece of a frame under a MAC.
    cpSync(at.settings.dir, killed.settings.dir, { recursive: true });
    cpSync(at.settings.keys, killed.settings.keys, { recursive: true });
    rmSync(join(killed.dir, "lock"), { recursive: true, force: true });
    await (await open(killed)).close();
    const found = lines(killed);
    const piece = found.findLastIndex((l) => l.tag === "S");
    const number = Number(found[piece]?.text.split(" ")[0]);
    const after = found.slice(piece).map((l) => l.tag);
    expect(after.slice(0, 2)).toEqual(["S", "B"]);
    expect(after).not.toContain("T");
    expect(problem(killed)).toBeUndefined();
    appendFileSync(segment(killed), `L {"a":1}\nS ${number} 2026-11-23 AAAA\n${mac}`);
    expect(problem(killed)).toBe(`frame ${number} where ${number + 1} is due`);
  } finally {
    await log.close();
    killed.remove();
  }
});
