/** One file of the log at a time cannot be written: what the log needs closes it, what only helps does not; both come back by themselves. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fileAnchor } from "../../src/audit/anchors/file.ts";
import { startExport } from "../../src/audit/export/streams.ts";
import { startIndexer } from "../../src/audit/index/indexer.ts";
import { startAnchoring } from "../../src/audit/index.ts";
import { searchLog } from "../../src/audit/read/search.ts";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { conclude, intend, open, type Place, place, safe, sessionRecord } from "./helpers.ts";

let at: Place;
beforeEach(() => {
  at = place("disk");
});
afterEach(() => at.remove());

/** Puts something in the place of a file or folder that nobody can write to, root included; gives what puts it back. */
function blocked(path: string, as: "file" | "folder"): () => void {
  const aside = `${path}.aside`;
  let had = true;
  try {
    renameSync(path, aside);
  } catch {
    had = false;
  }
  if (as === "file") writeFileSync(path, "");
  else {
    mkdirSync(path);
    writeFileSync(join(path, "x"), "");
  }
  return () => {
    rmSync(path, { recursive: true, force: true });
    if (had) renameSync(aside, path);
  };
}

describe("what the log needs", () => {
  test.each([
    ["blobs", "file"],
    ["checkpoint", "folder"],
    ["resume", "folder"],
    ["segments", "file"],
  ] as const)("%s", { timeout: 40_000 }, async (name, as) => {
    const log = await open(at, { careMs: 50, limits: { segmentBytes: 20_000 } });
    const session = log.session(sessionRecord);
    conclude(log, session, intend(log, session));
    await log.settle();
    const mend = blocked(join(at.dir, name), as);
    let accepted = 0;
    // Until it is felt: a long text needs a blob, a full segment the folder, a checkpoint its file.
    await expect
      .poll(
        async () => {
          if (log.failure !== null) return true;
          try {
            const sent = intend(log, session, `select '${"x".repeat(300_000)}'`);
            await safe(log, "disk");
            accepted++;
            conclude(log, session, sent);
          } catch {
            // Closed.
          }
          return log.failure !== null;
        },
        { timeout: 15_000 },
      )
      .toBe(true);
    expect(() => intend(log, session)).toThrow();
    mend();
    await expect.poll(() => log.failure, { timeout: 15_000 }).toBeNull();
    const sent = intend(log, session);
    await safe(log, "disk");
    conclude(log, session, sent);
    await log.close();
    expect(verifyLog(at.dir)).toMatchObject({ ok: true, unsignedTail: null });
    // What was acknowledged is there.
    const intents = searchLog({ name: "", dir: at.dir }, { type: "statement.intent" }, 1000, { scan: true });
    expect(intents.hits.length).toBeGreaterThanOrEqual(accepted + 2);
  });
});

test("what only helps: the index, an export's cursor, an anchor", { timeout: 60_000 }, async () => {
  const log = await open(at, { careMs: 50 });
  const session = log.session(sessionRecord);
  const anchors = join(at.root, "anchors");
  mkdirSync(anchors);
  const put = [
    blocked(join(at.dir, "index.db"), "folder"),
    blocked(join(at.dir, "exports"), "file"),
    blocked(anchors, "file"),
  ];
  const problems: string[] = [];
  const indexer = startIndexer({ dir: at.dir, keys: at.settings.keys }, (text) => problems.push(text));
  const target = {
    name: "out",
    kind: "syslog" as const,
    url: "udp://127.0.0.1:9",
    format: "jsonl" as const,
    authorization: null,
    ca: null,
    start: "beginning" as const,
  };
  const stream = startExport({ dir: at.dir, target, version: "1", pollMs: 10 }, (text) =>
    problems.push(text),
  );
  const anchoring = startAnchoring(log, [fileAnchor(anchors)], () => {});
  for (let n = 0; n < 20; n++) {
    const sent = intend(log, session);
    await safe(log, "disk");
    conclude(log, session, sent);
  }
  expect(log.failure).toBeNull();
  await expect.poll(() => problems.length, { timeout: 20_000 }).toBeGreaterThan(1);
  for (const mend of put) mend();
  await expect.poll(() => stream.state.next, { timeout: 30_000 }).toBeGreaterThan(20);
  await expect
    .poll(() => searchLog({ name: "", dir: at.dir }, { subject: "mary" }, 100).from, { timeout: 30_000 })
    .toBe("index");
  await stream.close();
  await indexer.close();
  await anchoring.stop();
  await log.close();
  expect(verifyLog(at.dir).ok).toBe(true);
});
