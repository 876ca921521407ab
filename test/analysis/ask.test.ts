import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { bindExecute, encodeAsk, parse } from "../../src/analysis/ask.ts";
import { AskReader, type AskResult } from "../../src/analysis/ask-read.ts";
import { sync } from "../../src/protocol/index.ts";
import { binaries } from "../support/binaries.ts";
import { type Cluster, startCluster } from "../support/cluster.ts";
import { type Bare, bare } from "./ask-support.ts";

/** GRANT SET ON PARAMETER came with PostgreSQL 15. */
const grantable = (await binaries()).major >= 15;

let cluster: Cluster;
let session: Bare;

const settings = `select name, setting from pg_settings where name in ('client_min_messages', 'debug_print_rewritten',
  'debug_pretty_print', 'debug_print_parse', 'lock_timeout', 'statement_timeout', 'log_min_messages', 'search_path',
  'DateStyle') order by 1`;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.query(
    "postgres",
    `create role plain login password 'plain'; create role quiet login password 'quiet';
     ${grantable ? "grant set on parameter log_min_messages to quiet;" : ""}
     create schema app; create schema other;
     create table app.people (id int, email text); create table other.people (email text);
     create view app.seen as select id, email as contact from app.people;
     create table app.ruled (a int); create rule also as on insert to app.ruled do also insert into app.people (id) values (new.a);
     grant usage on schema app, other to plain, quiet;
     grant all on all tables in schema app to plain, quiet; grant all on all tables in schema other to plain, quiet;`,
  );
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  session = await bare({ connectionString: cluster.url("postgres", "plain", "plain") });
});
afterEach(() => session.end());

function good(result: AskResult) {
  if (!result.ok) throw new Error(`${result.sqlstate} ${result.message}`);
  return result;
}
function bad(result: AskResult) {
  if (result.ok) throw new Error("it was answered");
  return result;
}

describe("on a connection of its own", () => {
  it("gives the view-expanded tree, parameter types and columns, and runs nothing", async () => {
    const result = good(await session.ask({ text: "select contact from app.seen where id = $1" }));
    expect(result.trees).toHaveLength(1);
    expect(result.trees[0]).toMatch(/^\(\s?\{QUERY /);
    expect(result.trees[0]).toContain(":relkind v");
    expect(result.trees[0]).toContain(":relkind r");
    expect(result.parameterTypes).toEqual([23]);
    expect(result.columns?.map((c) => [c.name, c.typeOid])).toEqual([["contact", 25]]);
    expect(result.status).toBe("I");
  });

  it("analyses under the given search_path and settings, and leaves the connection as it was", async () => {
    const before = await session.run(settings);
    const ask = { text: "select * from people", searchPath: "other" };
    expect(good(await session.ask(ask)).columns).toHaveLength(1);
    expect(good(await session.ask({ ...ask, searchPath: "app, other" })).columns).toHaveLength(2);
    const dated = {
      text: "select '01/02/2003'::date",
      searchPath: "app",
      settings: [["datestyle", "sql, dmy"]],
    } as const;
    expect(good(await session.ask(dated)).trees[0]).not.toBe(
      good(await session.ask({ ...dated, settings: [["datestyle", "sql, mdy"]] })).trees[0],
    );
    expect(await session.run(settings)).toEqual(before);
  });

  it("takes the types that the client gives to parameters", async () => {
    const result = good(await session.ask({ text: "select $1 + 1 as sum", parameterTypes: [1700] }));
    expect(result.parameterTypes).toEqual([1700]);
    expect(result.columns?.[0]?.typeOid).toBe(1700);
  });

  it("gives one tree for each statement that rules make of one, in one text", async () => {
    const result = good(await session.ask({ text: "insert into app.ruled values (1)" }));
    expect(result.trees.join(" ").match(/\{QUERY /g)?.length).toBeGreaterThan(1);
    expect(result.columns).toBeNull();
    expect(await session.run("select count(*) from app.ruled")).toEqual([["0"]]);
  });

  it("gives the server's error for what cannot be analysed, and goes on", async () => {
    const before = await session.run(settings);
    expect(bad(await session.ask({ text: "select nothing from app.people" }))).toMatchObject({
      sqlstate: "42703",
      stage: "statement",
      broken: false,
      status: "I",
    });
    expect(bad(await session.ask({ text: "selec 1" })).sqlstate).toBe("42601");
    expect(bad(await session.ask({ text: "select 1; select 2" })).sqlstate).toBe("42601");
    expect(bad(await session.ask({ text: "select 1", searchPath: 'a", ' }))).toMatchObject({
      stage: "settings",
    });
    expect(await session.run(settings)).toEqual(before);
    expect(good(await session.ask({ text: "select 1" })).trees).toHaveLength(1);
  });

  it("does not wait for a lock longer than it may", async () => {
    const other = await bare({ connectionString: cluster.url() });
    await other.run("begin; lock table app.people in access exclusive mode");
    const result = bad(await session.ask({ text: "select * from app.people", lockTimeoutMs: 20 }));
    expect(result).toMatchObject({ sqlstate: "55P03", stage: "statement", status: "I" });
    await other.run("rollback");
    await other.end();
    expect(good(await session.ask({ text: "select * from app.people" })).columns).toHaveLength(2);
  });

  it("gives up a tree that is larger than its limit, and goes on", async () => {
    const result = bad(await session.ask({ text: "select 1" }, "connection", { maxTreeLength: 100 }));
    expect(result).toMatchObject({ sqlstate: "54000", broken: false });
    expect(good(await session.ask({ text: "select 1" })).status).toBe("I");
  });

  it("believes no message but the server's own tree of this statement", async () => {
    await session.run("set debug_print_plan = on; set client_min_messages = debug1");
    const result = good(
      await session.ask({ text: "select 'rewritten parse tree:' as \"} {QUERY :relid 1\"" }),
    );
    expect(result.trees).toHaveLength(1);
  });

  it("says so when the connection ends", async () => {
    const reader = new AskReader();
    expect(reader.end()).toMatchObject({ ok: false, sqlstate: "08006", broken: true });
    const [pid] = await session.run("select pg_backend_pid()");
    await cluster.query("postgres", `select pg_terminate_backend(${pid?.[0]})`);
    expect(bad(await session.ask({ text: "select 1" })).broken).toBe(true);
  });

  it.runIf(grantable)("writes the tree to the server's log only where it may not be kept out", async () => {
    const quiet = await bare({ connectionString: cluster.url("postgres", "quiet", "quiet") });
    const size = (await cluster.log()).length;
    good(await quiet.ask({ text: "select email from app.people where email = 'a-secret'", quietLog: true }));
    bad(await quiet.ask({ text: "select nothing from app.people where email = 'a-secret'", quietLog: true }));
    expect((await cluster.log()).slice(size)).toBe("");
    good(await quiet.ask({ text: "select email from app.people", quietLog: false }));
    expect((await cluster.log()).slice(size)).toContain("rewritten parse tree");
    await quiet.end();
    expect(bad(await session.ask({ text: "select 1", quietLog: true }))).toMatchObject({
      sqlstate: "42501",
      stage: "settings",
    });
  });
});

describe("in the client's session", () => {
  /** Statements named by the client, its unnamed one, and a cursor: all must be as they were. */
  async function prepare(): Promise<void> {
    session.send(parse("", "select 'mine'", []), parse("s1", "select 's1'", []), sync);
    await session.ready();
  }
  async function unnamed(): Promise<string> {
    session.send(...bindExecute("", "", []), sync);
    const messages = await session.ready();
    return messages.map((m) => (m.type === "D" ? m.body.toString("latin1", 6) : m.type)).join(" ");
  }

  it("outside a transaction leaves settings, statements and portals as they were", async () => {
    await session.run("set search_path = other; set client_min_messages = warning; set lock_timeout = 77");
    await prepare();
    const before = await session.run(settings);
    await prepare();
    expect(good(await session.ask({ text: "select * from people" }, "session")).columns).toHaveLength(1);
    expect(await unnamed()).toBe("2 mine C Z");
    expect(bad(await session.ask({ text: "select x from people" }, "session"))).toMatchObject({
      status: "I",
    });
    expect(good(await session.ask({ text: "select 1" }, "session")).trees).toHaveLength(1);
    expect(await unnamed()).toBe("2 mine C Z");
    expect(await session.run(settings)).toEqual(before);
    expect(await session.run("select name from pg_prepared_statements where name like 'postern%'")).toEqual(
      [],
    );
  });

  it.each([
    "begin",
    "begin read only",
    "begin isolation level repeatable read",
    "begin isolation level serializable read only deferrable",
  ])("inside a transaction (%s) gives every setting its value back, local or not", async (begin) => {
    await session.run("set client_min_messages = warning; set search_path = other");
    await session.run(
      `${begin}; set local lock_timeout = 55; set datestyle = 'sql, dmy'; set statement_timeout = 5555`,
    );
    const before = await session.run(settings);
    const result = good(
      await session.ask({ text: "select * from people", settings: [["datestyle", "iso"]] }, "transaction"),
    );
    expect(result.status).toBe("T");
    expect(result.columns).toHaveLength(1);
    expect(await session.run(settings)).toEqual(before);
    await session.run("commit");
    const after = new Map((await session.run(settings)).map(([name, value]) => [name, value]));
    expect(after.get("lock_timeout")).toBe("0");
    expect(after.get("client_min_messages")).toBe("warning");
    expect(after.get("DateStyle")).toBe("SQL, DMY");
    expect(after.get("statement_timeout")).toBe("5555");
    expect(after.get("debug_print_rewritten")).toBe("off");
  });

  it("lets no setting of the caller stand in for the analysis' own, and restores what is named twice", async () => {
    await session.run("begin; set local search_path = other");
    const before = await session.run(settings);
    const result = good(
      await session.ask(
        {
          text: "select * from people",
          searchPath: "app",
          settings: [
            ["Search_Path", "other"],
            ["debug_print_rewritten", "off"],
            ["CLIENT_MIN_MESSAGES", "error"],
          ],
        },
        "transaction",
      ),
    );
    expect(result.trees).toHaveLength(1);
    expect(result.columns).toHaveLength(1);
    expect(await session.run(settings)).toEqual(before);
    await session.run("rollback");
  });

  it("inside a transaction takes no transaction number", async () => {
    await session.run("begin");
    good(await session.ask({ text: "insert into app.people values ($1, $2)" }, "transaction"));
    expect(await session.run("select pg_current_xact_id_if_assigned()")).toEqual([[null]]);
    await session.run("rollback");
  });

  it("sees temporary tables and what the transaction has made", async () => {
    await session.run("create temp table mine (a int, b int, c int); begin");
    expect(good(await session.ask({ text: "select * from mine" }, "transaction")).columns).toHaveLength(3);
    await session.run("alter table mine drop column a");
    expect(good(await session.ask({ text: "select * from mine" }, "transaction")).columns).toHaveLength(2);
    await session.run("rollback");
  });

  it("fails as the statement itself would: the transaction is aborted, savepoints work, settings are back", async () => {
    await session.run("set client_min_messages = error");
    const before = await session.run(settings);
    await session.run("begin; savepoint a");
    expect(bad(await session.ask({ text: "select x" }, "transaction"))).toMatchObject({
      status: "E",
      sqlstate: "42703",
    });
    await session.run("rollback to savepoint a");
    expect(await session.run(settings)).toEqual(before);
    expect(good(await session.ask({ text: "select 1" }, "transaction")).status).toBe("T");
    await session.run("commit");
    expect(await session.run(settings)).toEqual(before);
  });

  it("with Flush leaves the pipeline open, and the locks of the analysis with it", async () => {
    const result = good(
      await session.ask({ text: "select * from app.seen" }, "transaction", { end: "flush" }),
    );
    expect(result.status).toBeNull();
    const [locks] = await cluster.query(
      "postgres",
      "select count(*)::int as n from pg_locks where relation = 'app.seen'::regclass and mode = 'AccessShareLock'",
    );
    expect(locks?.n).toBe(1);
    session.send(
      parse("", "select current_setting('client_min_messages')", []),
      ...bindExecute("", "", []),
      sync,
    );
    const messages = await session.ready();
    expect(messages.map((m) => m.type).join("")).toBe("12DCZ");
    expect(messages[2]?.body.toString("latin1", 6)).toBe("notice");
  });

  it("with Flush fails into the client's own Sync", async () => {
    expect(bad(await session.ask({ text: "select x" }, "transaction", { end: "flush" })).status).toBeNull();
    session.send(sync);
    expect((await session.ready()).map((m) => m.type)).toEqual(["Z"]);
    expect(await session.run("select 1")).toEqual([["1"]]);
  });

  it("hands on what is not its own", async () => {
    await session.run("listen news");
    await session.run("begin");
    await cluster.query("postgres", "notify news, 'x'");
    await session.run("rollback");
    await session.run("set application_name = 'a'");
    await cluster.query("postgres", "notify news, 'y'");
    good(await session.ask({ text: "select 1" }, "session"));
    await session.run("select 1");
    const seen = [...session.relayed, ...session.messages.map((m) => m.type)];
    expect(seen.filter((type) => type === "A").length).toBeGreaterThanOrEqual(2);
  });
});

describe("the reader", () => {
  it("gives up on answers that are out of order or garbled, and asks for the connection to be closed", () => {
    for (const [type, body] of [
      ["T", Buffer.from([0, 0])],
      ["t", Buffer.from([0, 0])],
      ["Z", Buffer.from("I")],
      ["E", Buffer.from([1, 2])],
      ["G", Buffer.from([0, 0, 0])],
      ["x", Buffer.alloc(0)],
    ] as const) {
      const reader = new AskReader();
      expect(reader.push(type.charCodeAt(0), body)).toBe("done");
      expect(reader.result).toMatchObject({ ok: false, broken: true });
    }
  });

  it("takes no tree before its statement was sent, and none behind its ParseComplete", () => {
    const notice = Buffer.from("SLOG\0VLOG\0C00000\0Mrewritten parse tree:\0D({QUERY})\0\0");
    const empty = Buffer.alloc(0);
    const reader = new AskReader();
    const push = (types: string, body = empty) => {
      for (const type of types) reader.push(type.charCodeAt(0), body);
    };
    push("N", notice);
    push("12D");
    push("N", notice);
    push("C");
    push("N", notice);
    push("1");
    push("N", notice);
    push("t", Buffer.from([0, 0]));
    push("n");
    push("N", notice);
    push("Z", Buffer.from("I"));
    expect(reader.result).toMatchObject({ ok: true, trees: ["({QUERY})"] });
  });

  it("never throws, whatever comes", () => {
    const message = fc.tuple(fc.constantFrom(..."12DCN3tTnEZSAGIxs"), fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 30 }), (messages) => {
        const reader = new AskReader();
        const ends = messages.map(([type, body]) => reader.push(type.charCodeAt(0), Buffer.from(body)));
        expect(ends.filter((taken) => taken === "done").length).toBe(reader.result === null ? 0 : 1);
        expect(reader.end()).toBe(reader.result);
      }),
    );
  });

  it("refuses texts with a NUL", () => {
    expect(() => encodeAsk({ text: "select 1\0", searchPath: null, quietLog: false })).toThrow("NUL");
  });
});
