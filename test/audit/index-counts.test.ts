/** The index's counts, when retention cuts within the hour that is still written to. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { compareIndex } from "../../src/audit/index/compare.ts";
import { IndexWriter } from "../../src/audit/index/writer.ts";
import { logStats } from "../../src/audit/read/stats.ts";
import { open, type Place, place, segments } from "./helpers.ts";
import { people, placeOf, say } from "./index-helpers.ts";

let at: Place;
beforeEach(() => {
  at = place();
});
afterEach(() => at.remove());

test.each(["the same writer", "another writer"])(
  "outcomes behind a pruning of statements before it, and later statements, by %s",
  async (who) => {
    const log = await open(at, { limits: { segmentBytes: 8_000 } });
    const session = log.session(people[0] ?? expect.fail());
    let writer = new IndexWriter(placeOf(at), { keys: null });
    try {
      for (let n = 0; n < 12; n++) {
        say(log, session).end();
        await log.settle();
      }
      // These stay in the log, and get their outcomes when it is pruned: some before the index has read on, some after.
      const late = [1, 2, 3, 4].map(() => say(log, session));
      await log.settle();
      while (writer.step(1000) > 0);
      const before = segments(at).length;
      await log.prune(Date.now() + 1000, "test");
      expect(segments(at).length).toBeLessThan(before);
      if (who === "another writer") {
        writer.close();
        writer = new IndexWriter(placeOf(at), { keys: null });
      } else writer.tend();
      const check = () => compareIndex(placeOf(at), { keys: null });
      while (writer.step(1000) > 0);
      expect(check()).toMatchObject({ ok: true, firstDisagreement: null, behind: 0 });
      for (const one of late.slice(0, 2)) one.end();
      await log.settle();
      while (writer.step(1) > 0);
      expect(check()).toMatchObject({ ok: true, behind: 0 });
      for (const one of late.slice(2)) one.end();
      const deny = say(log, session, { verdict: "deny" });
      say(log, session, { verdict: "deny" });
      await log.settle();
      // Read from the log behind the index, then from the index: the same.
      const behind = logStats(placeOf(at), {});
      expect(behind).toMatchObject({ from: "index" });
      while (writer.step(1000) > 0);
      expect(check()).toMatchObject({ ok: true, behind: 0 });
      expect(logStats(placeOf(at), {})).toEqual(behind);
      expect(behind.stats).toMatchObject({ statements: 2, verdict: { deny: 2 }, status: { none: 2 } });
      deny.end();
      await log.settle();
      while (writer.step(1000) > 0);
      expect(check()).toMatchObject({ ok: true });
      expect(logStats(placeOf(at), {}).stats.status).toEqual({ denied: 1, none: 1 });
      // Taken again: nothing that was counted since is kept twice.
      writer.tend();
      expect(check()).toMatchObject({ ok: true });
    } finally {
      writer.close();
      await log.close();
    }
  },
);
