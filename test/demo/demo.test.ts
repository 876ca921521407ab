/** The demo as a user runs it, from `node bin/postern.js demo` to nothing left behind. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { verifyLog } from "../../src/audit/verify/index.ts";
import { compileCache } from "../cli/support.ts";

const postern = join(import.meta.dirname, "../../bin/postern.js");
const folder = mkdtempSync(join(tmpdir(), "postern-demo-e2e-"));
// As root the database runs as another user, who must be able to come here.
chmodSync(folder, 0o755);
const children = new Set<ChildProcess>();
afterAll(async () => {
  // Only after a failure is there one left; asked politely, it stops its database.
  const last = [...children].map((child) => {
    child.kill("SIGINT");
    return new Promise((resolve) => child.once("close", resolve));
  });
  await Promise.all(last);
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | null>;
}

function run(...args: string[]): Run {
  const env = { ...process.env, ...compileCache, TMPDIR: folder, NO_COLOR: "1" };
  const child = spawn(process.execPath, [postern, ...args], {
    cwd: folder,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", (code) => {
      children.delete(child);
      resolve(code);
    });
  });
  return { child, output: () => output, ended };
}

/** Waits until the output holds `text`; fails with the output when the process ends first. */
async function until({ output, child }: Run, text: string): Promise<void> {
  while (!output().includes(text)) {
    if (child.exitCode !== null)
      throw new Error(`ended with ${child.exitCode} before "${text}":\n${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** The PostgreSQL of the demo's folder has gone: it removes its pid file as the last thing. */
function databaseIsGone(): boolean {
  return (
    existsSync(join(folder, ".postern-demo/postgres/data/PG_VERSION")) &&
    !existsSync(join(folder, ".postern-demo/postgres/data/postmaster.pid"))
  );
}

/** Command lines of processes that name the test's folder; of Linux only. */
function processesHere(): string[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(folder));
}

/** The trail on disk, checked with the key that is kept apart from it. */
function verified() {
  const state = join(folder, ".postern-demo");
  return verifyLog(join(state, "audit/demo/0"), {
    vkey: readFileSync(join(state, "keys/log.vkey"), "utf8").trim(),
  });
}

const portOf = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1]);

describe("postern demo", () => {
  it("tells its story once, on the record, and leaves nothing running", { timeout: 240_000 }, async () => {
    const demo = run("demo", "--once");
    expect(await demo.ended, demo.output()).toBe(0);
    const output = demo.output();
    expect(output).not.toContain("UNEXPECTED");
    const story = output
      .split("\n")
      .filter((line) => /^\d\d:\d\d:\d\d {2}(agent-|engineer|approver)/.test(line));
    const told = (pattern: RegExp) =>
      expect(
        story.filter((line) => pattern.test(line)),
        `${pattern} in\n${output}`,
      ).toHaveLength(1);
    told(/agent-reports +ok +SELECT table_name .* customers, monthly_revenue, open_tickets, order_items/);
    told(/agent-reports +ok +SELECT id, full_name.*<y\*\*\*@\*\*\*\.com>/);
    told(/agent-reports +ok .* page 3: 50 rows after id [1-9]/);
    told(/agent-reports +failed +SELEC .* 42601 syntax error .*\(PostgreSQL\)/);
    told(/agent-reports +refused +DROP TABLE customers -> 42501 policy: .*\(Postern\)/);
    told(
      /agent-reports +refused +SELECT c::text FROM customers c -> 42501 policy: column public\.customers\.email/,
    );
    told(/agent-reports +refused +SELECT full_name FROM customers WHERE email LIKE .* 42501 policy: /);
    told(/agent-support +held +INSERT INTO support_tickets .* waits for a person/);
    told(/^\d\d:\d\d:\d\d {2}approver +approved ada@example\.com/m);
    told(/agent-support +ok +INSERT INTO support_tickets .* 1 row, written once a person had agreed/);
    told(/^\d\d:\d\d:\d\d {2}approver +denied +ada@example\.com/m);
    told(/agent-support +refused +UPDATE orders .* 42501 policy: ada@example\.com did not approve/);
    told(/agent-support +approval_wait +approved/);
    told(/agent-support +query +INSERT INTO support_tickets .* opened by agent-support/);
    told(/agent-reports +refused +\(FunctionCall .* 0A000 .*\(Postern\)/);
    told(/agent-reports +ok +SELECT count\(\*\) FROM customers -> 2000 customers/);
    told(/engineer +ok +INSERT INTO support_tickets .* opened by erin@example\.com/);
    told(/engineer +ok +COMMIT/);
    expect(output).toMatch(/agent-support as shop_writer +denied 42501 /);
    expect(output).toMatch(/verified: [1-9]\d+ records/);
    expect(databaseIsGone()).toBe(true);
    expect(processesHere()).toEqual([]);
    expect(await answers(portOf(output, /PostgreSQL \S+ on 127\.0\.0\.1:(\d+)/))).toBe(false);
    expect(await answers(portOf(output, /gateway on 127\.0\.0\.1:(\d+)/))).toBe(false);
    expect(await answers(portOf(output, /OIDC provider on http:\/\/127\.0\.0\.1:(\d+)/))).toBe(false);

    expect(verified()).toMatchObject({ ok: true, firstBadPlace: null, unsignedTail: null });
    // The commands that the demo tells its user to run.
    for (const [words, says] of [
      [["verify"], /^OK {3}postern\/demo\/0: [1-9]\d+ records/m],
      [
        ["search", "--subject", "agent-reports"],
        /agent-reports .* was denied by agent-safe\/agents-never on shop: DROP TABLE customers/,
      ],
      [["tail"], /the log was closed/],
    ] as const) {
      const told = run("audit", ...words, "-c", ".postern-demo/postern.yaml");
      expect(await told.ended, told.output()).toBe(0);
      expect(told.output()).toMatch(says);
    }
    // No password, no token in what anyone may read.
    const secrets = ["shop_reader", "shop_writer", "shop_admin", "postgres_superuser"];
    const files = ["postern.yaml", "postgres.log", "gateway.log"].map((name) =>
      readFileSync(join(folder, ".postern-demo", name), "utf8"),
    );
    for (const secret of secrets) {
      const value = readFileSync(join(folder, ".postern-demo/secrets", secret), "utf8");
      expect([output, ...files].filter((text) => text.includes(value))).toEqual([]);
    }
    expect([output, ...files].filter((text) => /eyJ[\w-]+\.[\w-]+\.[\w-]+/.test(text))).toEqual([]);
  });

  it("stays up with the same shop, gives lines that connect, and stops cleanly on a signal", {
    timeout: 240_000,
  }, async () => {
    const demo = run("demo");
    await until(demo, "Ctrl-C stops it");
    const output = demo.output();
    expect(output).not.toContain("creating a PostgreSQL");
    expect(output).not.toContain("filling the sample shop");
    const urls = [...output.matchAll(/^DATABASE_URL="(.*)"$/gm)].map((match) => match[1] ?? "");
    const logins: unknown[] = [];
    for (const connectionString of urls) {
      const client = new pg.Client({ connectionString });
      await client.connect();
      logins.push(
        (
          await client.query(
            "SELECT current_user, current_setting('postern.subject') AS subject, current_setting('postern.kind') AS kind",
          )
        ).rows[0],
      );
      await client.end();
    }
    expect(logins).toEqual([
      { current_user: "shop_writer", subject: "agent-support", kind: "agent" },
      { current_user: "shop_admin", subject: "erin@example.com", kind: "human" },
      { current_user: "shop_reader", subject: "ada@example.com", kind: "human" },
    ]);
    const psql = [...output.matchAll(/^PGPASSWORD=(\S+) psql "postgresql:\/\/([^"]+)"$/gm)];
    expect(
      psql.map(([, token, rest]) =>
        urls.some((url) => url === `postgresql://${rest?.replace("@", `:${token}@`)}`),
      ),
    ).toEqual([true, true, true]);
    const health = await fetch(/http:\/\/\S+\/healthz/.exec(output)?.[0] ?? "");
    expect(health.status).toBe(200);

    const second = run("demo", "--once");
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain("another demo is running");

    demo.child.kill("SIGINT");
    expect(await demo.ended, demo.output()).toBe(0);
    expect(databaseIsGone()).toBe(true);
    expect(processesHere()).toEqual([]);
    expect(verified()).toMatchObject({ ok: true, firstBadPlace: null, unsignedTail: null });
  });

  it("says what is wrong with an option, and nothing else happens", async () => {
    const wrong = run("demo", "--twice");
    expect(await wrong.ended).toBe(2);
    expect(wrong.output()).toContain("--twice");
  });
});
