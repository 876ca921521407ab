/**
 * A client that knows how the gateway works and wants a statement run that the record does not show, or shows as another
 * one. Each walk here made a gateway lie once, or might have. Ends and resources: hostile-ends.test.ts.
 */
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type AuditLog, AuditUnavailable } from "../../src/audit/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import {
  bind,
  close,
  copyData,
  copyDone,
  describe_,
  execute,
  field,
  functionCall,
  parse,
  query,
  sync,
  types,
} from "./messages.ts";

type Intent = Parameters<AuditLog["intent"]>[1] & { readonly leaf: number };
type Outcome = Parameters<AuditLog["outcome"]>[1];

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;
let intents: Intent[] = [];
let outcomes: Outcome[] = [];

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "create table t(a int); create table parent(id int primary key); create table child(p int references parent deferrable initially deferred)",
  );
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
  });
  // The seals can only be opened with the log's keys; what goes into them is seen here.
  const { audit } = postern;
  const [intent, outcome] = [audit.intent.bind(audit), audit.outcome.bind(audit)];
  audit.intent = (session, fields) => {
    const leaf = intent(session, fields);
    intents.push({ ...fields, leaf });
    return leaf;
  };
  audit.outcome = (session, fields) => {
    outcomes.push({ ...fields });
    return outcome(session, fields);
  };
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  await cluster.query(dbname, "truncate t");
  client = await rawLogin(postern, await postern.token());
  [intents, outcomes] = [[], []];
});
afterEach(async () => {
  await client.end();
});

/** First column of every row. */
function values(messages: readonly RawMessage[]): string[] {
  return messages
    .filter((m) => m.type === "D")
    .map((m) => m.body.toString("utf8", 6, 6 + m.body.readInt32BE(2)));
}

/** Sends all of it at once and waits for as many ReadyForQuery. */
async function ask(readies: number, ...messages: Buffer[]): Promise<RawMessage[]> {
  client.send(...messages);
  const got: RawMessage[] = [];
  for (let i = 0; i < readies; i++) got.push(...(await client.ready()));
  return got;
}

/** What the record says was run and answered "ok", where an intent may hold the text of the statement it names. */
function ran(): { sql: string; prepared: string | null; tag: string | null; kind: string }[] {
  return outcomes
    .filter((o) => o.status === "ok")
    .map((o) => {
      const intent = intents.find((i) => i.leaf === o.intent);
      const sealed = JSON.parse(intent?.sealed ?? "{}");
      const facts = intent?.statement.facts.toString() ?? "";
      return {
        sql: sealed.sql,
        prepared: sealed.prepared?.sql ?? null,
        tag: o.tag,
        kind: /"kind":"(\w+)"/.exec(facts)?.[1] ?? "",
      };
    });
}

/** Every intent has an outcome. */
function settled(): void {
  expect(outcomes.map((o) => o.intent).sort((a, b) => a - b)).toEqual(
    expect.arrayContaining(intents.map((i) => i.leaf)),
  );
}

const evil = "select 'evil'";
const benign = "select 'benign'";

/** Nothing that said "evil" may be on the record under a text that does not. */
function honest(got: readonly RawMessage[]): void {
  const shown = ran().filter((r) => r.tag?.startsWith("SELECT") || r.tag?.startsWith("FETCH"));
  expect(shown.map((r) => (r.prepared ?? r.sql).includes("evil"))).toEqual(
    values(got).map((v) => v === "evil"),
  );
  settled();
}

describe("names that are not what the gateway thinks", () => {
  it("a Parse that the server skips leaves the old unnamed statement", async () => {
    await ask(1, parse("", evil), sync);
    const got = await ask(
      2,
      describe_("statement", "nosuch"),
      parse("", benign),
      sync,
      bind("", ""),
      execute(""),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("a Close that the server skips leaves the old statement", async () => {
    await ask(1, parse("x", evil), sync);
    const got = await ask(
      3,
      describe_("statement", "nosuch"),
      close("statement", "x"),
      sync,
      parse("x", benign),
      sync,
      bind("", "x"),
      execute(""),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("a skipped Parse and EXECUTE", async () => {
    await ask(1, query(`prepare x as ${evil}`));
    const got = await ask(
      2,
      describe_("statement", "nosuch"),
      close("statement", "x"),
      parse("x", benign),
      sync,
      query("execute x"),
    );
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("a skipped Bind, a savepoint, and the portal that was there before", async () => {
    await ask(2, query("begin"), parse("e", evil), parse("b", benign), bind("p", "e"), sync);
    await ask(1, query("savepoint s"));
    const got = await ask(
      3,
      describe_("statement", "nosuch"),
      close("portal", "p"),
      bind("p", "b"),
      sync,
      query("rollback to s"),
      execute("p"),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    honest(got);
    const again = await ask(
      3,
      bind("p", "e"),
      sync,
      query("rollback to s"),
      parse("", "fetch 1 from p"),
      bind("", ""),
      execute(""),
      sync,
    );
    expect(types(again)).toContain("E");
    settled();
  });

  it("names that PostgreSQL cuts at 63 bytes", async () => {
    const n = "n".repeat(63);
    const got = await ask(
      4,
      parse(`${n}1`, benign),
      sync,
      close("statement", `${n}2`),
      sync,
      parse(`${n}3`, evil),
      sync,
      bind("", `${n}1`),
      execute(""),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    honest(got);
    const sql = await ask(
      4,
      query(`prepare ${n}4 as select 1`),
      query(`deallocate ${n}`),
      query(`prepare ${n}5 as ${evil}`),
      query(`execute ${n}6`),
    );
    expect(values(sql)).toEqual(["evil"]);
    honest([...got, ...sql]);
  });

  it("cut names of portals", async () => {
    const n = "p".repeat(63);
    await ask(2, query("begin"), parse("e", evil), parse("b", benign), bind(`${n}1`, "b"), sync);
    const got = await ask(1, close("portal", `${n}2`), bind(`${n}3`, "e"), execute(`${n}1`), sync);
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("names in an encoding that the client changed", async () => {
    const n = "Ã©";
    const latin = Buffer.from(n, "latin1").toString("utf8");
    await ask(1, query("set client_encoding = 'LATIN1'"));
    // In LATIN1 the two bytes of "é" are two characters; the server knows them as "Ã©".
    const refused = await ask(1, parse(latin, evil), sync);
    expect(field(refused[0], "C")).toBe("08P01");
    await ask(1, query("set client_encoding = 'UTF8'"));
    const got = await ask(2, parse(n, benign), sync, bind("", n), execute(""), sync);
    expect(values(got)).toEqual(["benign"]);
    honest(got);
  });

  it("texts that the gateway cannot read change names", async () => {
    const deep = `${"/*".repeat(40)}${"*/".repeat(40)}`;
    await ask(1, parse("x", benign), sync);
    const got = await ask(
      3,
      query(`${deep} deallocate x`),
      query(`${deep} prepare x as ${evil}`),
      bind("", "x"),
      execute(""),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    const last = ran().at(-1);
    // What it was is unknown, and said to be.
    expect(last).toMatchObject({ sql: "", kind: "unknown", tag: "SELECT 1" });
    settled();
  });

  it("…also through the extended protocol, and when only the end of the transaction fails", async () => {
    const deep = `${"/*".repeat(40)}${"*/".repeat(40)}`;
    await ask(1, parse("x", benign), sync);
    const got = await ask(
      3,
      parse("", `${deep} deallocate x`),
      bind("", ""),
      execute(""),
      sync,
      query(`${deep} insert into child values (1); prepare x as ${evil}`),
      bind("", "x"),
      execute(""),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    expect(ran().at(-1)).toMatchObject({ sql: "", kind: "unknown" });
    settled();
  });

  it("a PREPARE whose transaction fails at its end is there all the same", async () => {
    await ask(1, query(`insert into child values (1); prepare x as ${evil}`));
    const got = await ask(2, parse("x", benign), sync, bind("", "x"), execute(""), sync);
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("PREPARE behind a COPY of the same Query", async () => {
    await ask(1, query(`prepare x as ${benign}`));
    client.send(query(`copy t from stdin; deallocate x; prepare x as ${evil}`));
    await client.until((m) => m.type === "G");
    const got = await ask(2, copyData("1\n"), copyDone, bind("", "x"), execute(""), sync);
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("a cursor declared again in the Query that fetches from it", async () => {
    await ask(2, query("begin"), query(`declare c cursor for ${benign}`));
    const got = await ask(1, query(`close c; declare c cursor for ${evil}; fetch 1 from c`));
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("a cursor WITH HOLD outlives its transaction, and its name", async () => {
    await ask(1, query(`declare h cursor with hold for ${evil} union all ${evil} union all ${evil}`));
    const got = await ask(3, query("fetch 1 from h"), execute("h", 1), sync, parse("b", benign), sync);
    const more = await ask(2, bind("h", "b"), sync, execute("h", 1), sync);
    expect(values([...got, ...more])).toEqual(["evil", "evil", "evil"]);
    const fetched = ran().slice(1);
    expect(fetched.map((r) => (r.prepared ?? r.sql).includes("evil"))).toEqual([true, true, true]);
    settled();
  });

  it("a DO block that puts its words together", async () => {
    await ask(1, parse("x", benign), sync);
    const got = await ask(
      2,
      query("do $$ begin execute 'deal' || 'locate x'; execute 'pre' || 'pare x as select ''evil'''; end $$"),
      bind("", "x"),
      execute(""),
      sync,
    );
    expect(values(got)).toEqual(["evil"]);
    expect(ran().at(-1)).toMatchObject({ sql: "", kind: "unknown" });
    settled();
  });

  it("two skipped Parses in a row", async () => {
    await ask(1, parse("", evil), sync);
    const nosuch = describe_("statement", "nosuch");
    await ask(3, nosuch, parse("", benign), sync, nosuch, parse("", benign), parse("", benign), sync, sync);
    const got = await ask(1, bind("", ""), execute(""), sync);
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("DEALLOCATE ALL and the unnamed statement", async () => {
    await ask(1, parse("d", "deallocate all"), parse("", evil), sync);
    const got = await ask(2, bind("p", "d"), execute("p"), sync, bind("", ""), execute(""), sync);
    expect(values(got)).toEqual(["evil"]);
    honest(got);
  });

  it("any order of names, errors, Syncs and savepoints: what returns a row is on the record with its text", {
    timeout: 120_000,
  }, async () => {
    let unique = 0;
    const select = fc.constant(0).map(() => `select 'value ${++unique} '`);
    const name = fc.constantFrom("x", "y");
    const sql = fc.oneof(
      { weight: 4, arbitrary: select },
      { weight: 2, arbitrary: fc.tuple(name, select).map(([n, s]) => `prepare ${n} as ${s}`) },
      { weight: 2, arbitrary: name.map((n) => `deallocate ${n}`) },
      { weight: 3, arbitrary: name.map((n) => `execute ${n}`) },
      {
        weight: 2,
        arbitrary: fc.tuple(name, select).map(([n, s]) => `declare ${n} cursor with hold for ${s}`),
      },
      { weight: 1, arbitrary: fc.tuple(name, select).map(([n, s]) => `declare ${n} cursor for ${s}`) },
      { weight: 2, arbitrary: name.map((n) => `fetch 1 from ${n}`) },
      { weight: 1, arbitrary: name.map((n) => `close ${n}`) },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          "begin",
          "commit",
          "rollback",
          "savepoint s",
          "rollback to s",
          "close all",
          "deallocate all",
          "insert into child values (1)",
          "select 1/0",
          "discard all",
        ),
      },
    );
    const any = fc.constantFrom("", "x", "y");
    const message = fc.oneof(
      { weight: 5, arbitrary: fc.tuple(any, sql).map(([n, s]) => parse(n, s)) },
      { weight: 5, arbitrary: fc.tuple(any, any).map(([p, s]) => bind(p, s)) },
      { weight: 5, arbitrary: any.map((p) => execute(p)) },
      { weight: 2, arbitrary: any.map((n) => close("statement", n)) },
      { weight: 1, arbitrary: any.map((n) => close("portal", n)) },
      { weight: 3, arbitrary: fc.constant(describe_("statement", "nosuch")) },
      { weight: 7, arbitrary: fc.constant(sync) },
      { weight: 6, arbitrary: fc.array(sql, { minLength: 1, maxLength: 3 }).map((s) => query(s.join(";"))) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 4, maxLength: 24 }), async (messages) => {
        [intents, outcomes] = [[], []];
        const walker = await rawLogin(postern, await postern.token());
        walker.send(...messages, sync, query("rollback"), query("select 'the end '"));
        const got = await walker.until((m) => m.type === "D" && m.body.includes("the end "));
        await walker.ready();
        await walker.end();
        const rows = values(got);
        for (const outcome of outcomes) {
          const sealed = intents.find((i) => i.leaf === outcome.intent)?.sealed ?? "";
          for (const row of rows.splice(0, outcome.rows)) expect(sealed).toContain(row);
        }
        expect(rows).toEqual([]);
        settled();
      }),
      {
        ...(process.env.FC_SEED === undefined ? {} : { seed: Number(process.env.FC_SEED) }),
        numRuns: Number(process.env.FC_RUNS ?? 150),
        interruptAfterTimeLimit: 100_000,
      },
    );
  });
});

describe("texts that mean something else to the server", () => {
  const quoted = "select '\\''; insert into t values (1); --'";

  it("standard_conforming_strings changed in the same packet", async () => {
    const got = await ask(2, query("set standard_conforming_strings = off"), query(quoted));
    expect(types(got)).toContain("DCCZ");
    // Not read at all, rather than read wrongly.
    expect(ran().at(-1)).toMatchObject({ sql: quoted, kind: "unknown" });
    settled();
  });

  it("…by a function, through the extended protocol, and by the end of SET LOCAL", async () => {
    const got = await ask(
      2,
      parse("", "select set_config('standard_conforming_strings', 'off', false)"),
      bind("", ""),
      execute(""),
      sync,
      query(quoted),
    );
    expect(types(got)).toContain("DCCZ");
    expect(ran().at(-1)).toMatchObject({ sql: quoted, kind: "unknown" });
    // Off outside, on inside the block: at its end it is off again.
    const local = await ask(
      4,
      query("begin"),
      query("set local standard_conforming_strings = on"),
      query("rollback"),
      query(quoted),
    );
    expect(types(local)).toContain("DCCZ");
    expect(ran().at(-1)).toMatchObject({ sql: quoted, kind: "unknown" });
    settled();
  });

  it("…in the same batch", async () => {
    const got = await ask(
      1,
      parse("", "set standard_conforming_strings = off"),
      bind("", ""),
      execute(""),
      parse("", "select '\\''; --'"),
      bind("", ""),
      execute(""),
      sync,
    );
    expect(types(got)).toBe("12CN12DCSZ");
    expect(ran().at(-1)).toMatchObject({ sql: "select '\\''; --'", kind: "unknown" });
    settled();
  });

  it("by a way nobody can foresee: the session ends rather than go on with misread texts", async () => {
    await ask(
      1,
      query(
        "create function pg_temp.f() returns void language plpgsql as $$ begin execute 'set standard_' || 'conforming_strings = off'; end $$",
      ),
    );
    client.send(query("select pg_temp.f()"), query(quoted), query(quoted));
    const got = await client.until((m) => m.type === "E" && field(m, "S") === "FATAL");
    expect(field(got.at(-1), "C")).toBe("0A000");
    await client.until(() => false);
  });
});

describe("outcomes", () => {
  it("the second answer to a text that could not be read is an error: the record says so", async () => {
    await ask(1, query("set standard_conforming_strings = off"));
    outcomes = [];
    const got = await ask(1, query("insert into t values (1); select 1/0"));
    expect(types(got)).toBe("CEZ");
    expect(outcomes.map((o) => [o.status, o.sqlstate])).toEqual([
      ["ok", null],
      ["error", "22012"],
    ]);
  });

  it("the log gives out between two statements of one Query: neither is run, both have an outcome", async () => {
    const { audit } = postern;
    const { intent } = audit;
    let left = 1;
    audit.intent = (session, fields) => {
      if (left-- === 0) throw new AuditUnavailable("full");
      return intent.call(audit, session, fields);
    };
    try {
      const got = await ask(1, query("insert into t values (1); insert into t values (2)"));
      expect(types(got)).toBe("EZ");
      expect(field(got[0], "C")).toBe("58030");
    } finally {
      audit.intent = intent;
    }
    expect(await cluster.query(dbname, "select a from t")).toEqual([]);
    expect(outcomes[0]).toMatchObject({ status: "error", sqlstate: "58030", skipped: true });
    settled();
    expect(types(await ask(1, query("select 1")))).toBe("TDCZ");
  });

  it("a batch that fails at Sync: the session goes on", async () => {
    const got = await ask(
      2,
      parse("", "insert into child values (1)"),
      bind("", ""),
      execute(""),
      sync,
      query("select 1"),
    );
    expect(types(got)).toBe("12CEZTDCZ");
    settled();
  });

  it("COPY twice in one Query, its data and ends sent ahead, Syncs in between", async () => {
    const got = await ask(
      2,
      query("copy t from stdin; copy t from stdin"),
      copyData("1\n"),
      copyDone,
      sync,
      copyData("2\n"),
      sync,
      copyDone,
      query("select count(*) from t"),
    );
    expect(types(got)).toBe("GCGCZTDCZ");
    expect(values(got)).toEqual(["2"]);
    settled();
    client.send(query("copy t from stdin; copy t from stdin"), copyData("1\n"), copyDone);
    for (let i = 0; i < 2; i++) await client.until((m) => m.type === "G");
    const rest = await ask(2, sync, copyData("2\n"), copyDone, query("select count(*) from t"));
    expect(types(rest)).toBe("CZTDCZ");
    expect(values(rest)).toEqual(["4"]);
  });

  it("a copy refused in its middle and given up: the next copy is not affected", async () => {
    client.send(query("copy t from stdin"));
    await client.until((m) => m.type === "G");
    expect(types(await ask(1, copyData("1\n"), functionCall(1397, ["1"])))).toBe("EZ");
    client.send(query("copy t from stdin"));
    await client.until((m) => m.type === "G");
    expect(types(await ask(1, copyData("2\n"), copyDone))).toBe("CZ");
    expect(await cluster.query(dbname, "select a from t")).toEqual([{ a: 2 }]);
    settled();
  });

  it("Sync in a copy that fails just then: one ReadyForQuery, and in step", async () => {
    for (let i = 0; i < 5; i++) {
      client.send(parse("", "copy t from stdin"), bind("", ""), execute(""));
      client.send(Buffer.from([0x48, 0, 0, 0, 4]));
      await client.until((m) => m.type === "G");
      const got = await ask(1, copyData("not a number\n"), sync, query("select 1").subarray(0, 0));
      expect(types(got)).toBe("EZ");
      expect(types(await ask(1, query("select 1")))).toBe("TDCZ");
    }
    settled();
  });
});
