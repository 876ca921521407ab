/** The disk of the trail fills up under load. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compare } from "./compare.ts";
import { codeOf, mark, startLoad } from "./load.ts";
import { connect, createSite, type Server, startServer } from "./support.ts";

/** Runs a command with `path` as $1; throws when it fails. */
function shell(command: string, path: string): void {
  execFileSync("sh", ["-c", command, "sh", path], { stdio: "ignore" });
}

/** A small file system of its own; null when this user may not mount one. */
function mountSmall(): string | null {
  const path = mkdtempSync(join(tmpdir(), "postern-small-"));
  try {
    shell('mount -t tmpfs -o size=6m tmpfs "$1"', path);
    return path;
  } catch {
    rmSync(path, { recursive: true });
    return null;
  }
}

function unmount(path: string): void {
  shell('umount -l "$1"', path);
  rmSync(path, { recursive: true });
}

const probe = mountSmall();
if (probe === null)
  console.warn("test/faults/diskfull: skipped, mounting a tmpfs needs root and CAP_SYS_ADMIN");
else unmount(probe);

describe.skipIf(probe === null)("the disk fills up", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.cluster.stop());

  test.each(["process", "disk", "strict"] as const)(
    "%s: nothing more is forwarded, and after making room a restart goes on",
    { timeout: 60_000 },
    async (durability) => {
      await server.fresh();
      const disk = mountSmall();
      if (disk === null) throw new Error("mount failed");
      const site = await createSite(server, { durability, auditDir: join(disk, "audit") });
      try {
        const gateway = await site.start();
        const idle = await connect(gateway.port, site.token);
        const pending = await connect(gateway.port, site.token);
        await pending.query("begin");
        const unsaid = mark();
        await pending.query("insert into t values ($1)", [unsaid]);
        const ended = new Promise<string>((resolve) => {
          pending.on("error", (error) => resolve(codeOf(error)));
        });

        const load = startLoad(gateway.port, site.token, { ballast: 20_000 });
        await load.done;
        // A client that has half a row cannot be told; postgres.js has no better word for statements that were waiting.
        for (const code of load.ends)
          expect(code).toMatch(/^(58030|CONNECTION_CLOSED|Connection terminated unexpectedly)$/);
        expect(load.ends.filter((code) => code === "58030").length).toBeGreaterThanOrEqual(6);
        expect(load.ends.length).toBe(8);

        // A session that was idle meanwhile, a new one, and one with a transaction open.
        const late = mark();
        const error = await idle.query(`insert into t values ('${late}')`).catch((e: unknown) => e);
        expect(codeOf(error)).toBe("58030");
        const refused = await connect(gateway.port, site.token).catch((e: unknown) => e);
        expect(codeOf(refused)).toBe("58030");
        expect(await ended).toBe("58030");
        await server.quiet("idle sessions");
        expect(gateway.child.exitCode).toBeNull();
        expect(await server.rows()).not.toContain(late);
        expect(await server.rows()).not.toContain(unsaid);

        const full = await compare(server, site.trail(), [load], { concluded: false, graceful: false });
        expect(full.problems).toEqual([]);
        expect(full.logged).toBeGreaterThan(50);
        const verified = await site.verify();
        expect(verified.code, verified.stdout).toBe(0);
        const closed = site.trail().leaves.at(-1);
        expect(closed).toMatchObject({ type: "log.closed", reason: "audit log failed: ENOSPC" });
        gateway.child.kill("SIGTERM");
        const gone = await gateway.ended;
        expect(gone.code).toBe(1);
        expect(gone.stdout).toMatch(/"level":"fatal".*ENOSPC.*the audit log has failed/);

        // Without room it says so and stays away; the ballast had made some.
        shell('cat /dev/zero > "$1/filler" || true', disk);
        const still = await site.spawn().ended;
        expect(still.code).toBe(1);
        expect(still.stderr).toMatch(/audit log/);

        rmSync(join(disk, "filler"));
        shell('mount -o remount,size=64m "$1"', disk);
        const again = await site.start();
        const more = startLoad(again.port, site.token);
        await more.reached(40);
        more.stop();
        await more.done;
        expect(more.ends).toEqual([]);
        again.child.kill("SIGTERM");
        expect((await again.ended).code).toBe(0);
        const after = await site.verify();
        expect(after.code, after.stdout).toBe(0);
        const trail = site.trail();
        const found = await compare(server, trail, [load, more], {
          concluded: true,
          graceful: durability === "strict",
        });
        expect(found.problems).toEqual([]);
      } finally {
        await site.remove();
        unmount(disk);
      }
    },
  );
});
