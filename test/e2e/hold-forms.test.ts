/** Held statements in the forms that are easy to forget: limits, masks, copies, cursors, prepared texts, temporary tables, odd chunks. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { approve, deny, pending, tables } from "./hold-support.ts";
import {
  bind,
  copyData,
  copyDone,
  describe_,
  execute,
  field,
  flush,
  functionCall,
  parse,
  query,
  sync,
  types,
} from "./messages.ts";

const policyOf = (extra = "") => `
version: 1
default: deny
labels:
  - { label: pii, columns: ["*.public.accounts.email"], mask: redact }
rules:
  - { name: control, when: 'statement.effects.all(e, e == "session")', then: allow }
  - { name: reads, when: 'statement.effects == ["read"] && !("public.accounts" in statement.reads)', then: allow }
  - { name: notes, when: 'statement.writes == ["public.notes"]', then: allow }
  - { name: structure, when: '"ddl" in statement.effects', then: allow }
  - name: people
    when: '"public.accounts" in statement.reads || (statement.writes != [] && statement.writes != ["public.notes"])'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 60s }
    limits: { affected_rows: 2, rows: 3 }
${extra}`;

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, tables);
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy: policyOf(),
    functionCall: true,
    approvals: { settings: { requestsPerMinute: 1000, maxPendingPerPrincipal: 100, denials: 1000 } },
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  postern.setPolicy(policyOf());
  await cluster.query(
    dbname,
    "delete from accounts where id > 10; update accounts set balance = 100; truncate notes",
  );
  client = await rawLogin(postern, await postern.token());
  return async () => {
    await client.end();
  };
});

const codeOf = (messages: readonly RawMessage[]) =>
  JSON.parse(
    field(
      messages.find(({ type }) => type === "E"),
      "D",
    ) ?? "{}",
  ).code as string | undefined;

async function agreed(...messages: Buffer[]): Promise<RawMessage[]> {
  client.send(...messages);
  await approve(postern, (await pending(postern)).id);
  return client.ready();
}

async function balance(id = 1): Promise<number> {
  const [row] = await cluster.query(dbname, "select balance from accounts where id = $1", [id]);
  return Number(row?.balance);
}

async function works(): Promise<void> {
  client.send(query("select 1"));
  expect(types(await client.ready())).toBe("TDCZ");
}

describe("what people agreed to keeps its limits and masks", () => {
  it("changed rows, in a Query and in a batch", async () => {
    expect(codeOf(await agreed(query("update accounts set balance = 1 where id < 4")))).toBe(
      "AFFECTED_ROWS_LIMIT",
    );
    expect(types(await agreed(query("update accounts set balance = 1 where id < 3")))).toBe("NCZ");
    const sql = "update accounts set balance = $1 where id < $2";
    expect(codeOf(await agreed(parse("", sql), bind("", "", ["2", "4"]), execute(""), sync))).toBe(
      "AFFECTED_ROWS_LIMIT",
    );
    expect(types(await agreed(parse("", sql), bind("", "", ["2", "3"]), execute(""), sync))).toBe("1N2CZ");
    expect([await balance(1), await balance(3)]).toEqual([2, 100]);
    await works();
  });

  it("delivered rows, and masked columns", async () => {
    const messages = await agreed(query("select id, email from accounts order by id limit 3"));
    const rows = messages.filter(({ type }) => type === "D").map(({ body }) => body.toString("latin1"));
    expect(rows.length).toBe(3);
    expect(rows.join()).not.toContain("example.com");
    expect(codeOf(await agreed(query("select id from accounts")))).toBe("ROW_LIMIT");
    await works();
  });
});

describe("statements of other kinds", () => {
  // Neither a copy's rows nor those of an EXECUTE can be counted.
  const uncounted = () => postern.setPolicy(policyOf().replace("affected_rows: 2, ", ""));

  it("COPY FROM STDIN: the client is asked for its data once people have agreed", async () => {
    uncounted();
    client.send(query("copy accounts(id, email, balance) from stdin"));
    const waiting = await pending(postern);
    expect(waiting.statements[0]?.kind).toBe("copy");
    await deny(postern, waiting.id);
    expect(codeOf(await client.ready())).toBe("APPROVAL_DENIED");
    client.send(query("copy accounts(id, email, balance) from stdin"));
    await approve(postern, (await pending(postern)).id);
    await client.until(({ type }) => type === "G");
    client.send(copyData("11\tx\t1\n"), copyDone);
    expect(types(await client.ready())).toBe("CZ");
    expect(await balance(11)).toBe(1);
  });

  it("PREPARE passes; its EXECUTE is held, and shows the text", async () => {
    uncounted();
    client.send(query("prepare p(int) as update accounts set balance = $1 where id = 1"));
    expect(types(await client.ready())).toBe("CZ");
    client.send(query("execute p(3)"));
    const waiting = await pending(postern);
    expect(waiting.statements[0]).toMatchObject({
      sql: "execute p(3)",
      prepared: ["update accounts set balance = $1 where id = 1"],
    });
    await deny(postern, waiting.id);
    await client.ready();
    expect(await balance()).toBe(100);
  });

  it("a temporary table of the session", async () => {
    client.send(query("create temporary table mine(a int)"));
    await client.ready();
    expect(types(await agreed(query("insert into mine values (1)")))).toBe("NCZ");
    await works();
  });

  it("a FunctionCall cannot wait", async () => {
    const [row] = await cluster.query(dbname, "select 'now()'::regprocedure::oid::int as oid");
    postern.setPolicy(
      "version: 1\ndefault: deny\nrules:\n  - { name: all, when: 'true', then: approve, approvers: { groups: [stewards] } }\n",
    );
    client.send(functionCall(Number(row?.oid)));
    expect(codeOf(await client.ready())).toBe("NEEDS_APPROVAL");
  });
});

describe("large ones", () => {
  it("parameters are shown by their beginning, and bound whole", async () => {
    const send = (value: string) =>
      client.send(
        parse("", "update accounts set email = $1 where id = 1"),
        bind("", "", [value]),
        execute(""),
        sync,
      );
    send(`a${"x".repeat(200_000)}`);
    const waiting = await pending(postern);
    expect(waiting.statements[0]?.parameters[0]).toMatchObject({ type: "text", cut: { bytes: 200_001 } });
    expect(waiting.statements[0]?.parameters[0]?.text?.length).toBeLessThan(5_000);
    await deny(postern, waiting.id);
    await client.ready();
  });

  it("texts that nobody can read are refused", async () => {
    client.send(query(`update accounts set email = '${"x".repeat(2_000_000)}' where id = 1`));
    expect(codeOf(await client.ready())).toBe("APPROVAL_TOO_LARGE");
    await works();
  });
});

describe("portals", () => {
  it("bound first and executed later are held where they are bound", async () => {
    client.send(
      parse("", "update accounts set balance = 9 where id = 2 returning id"),
      bind("c", ""),
      describe_("portal", "c"),
      flush,
    );
    const waiting = await pending(postern);
    await approve(postern, waiting.id);
    await client.until(({ type }) => type === "T");
    expect(await balance(2)).toBe(100);
    client.send(execute("c"), sync);
    expect(types(await client.ready())).toBe("DCZ");
    expect(await balance(2)).toBe(9);
    const outcomes = (await postern.records()).filter(
      (leaf) => leaf.type === "statement.outcome" && leaf.approval === waiting.id,
    );
    expect(outcomes.length).toBe(1);
  });

  it("that were bound before a rule asked for people must be bound anew", async () => {
    postern.setPolicy("version: 1\ndefault: allow\nrules: []\n");
    client.send(parse("", "update accounts set balance = 8 where id = 2"), bind("c", ""), flush);
    await client.until(({ type }) => type === "2");
    postern.setPolicy(policyOf());
    client.send(execute("c"), sync);
    expect(codeOf(await client.ready())).toBe("NEEDS_APPROVAL");
    expect(await balance(2)).toBe(100);
    await works();
  });
});

describe("chunks", () => {
  it("however they are cut, the same is held, and runs once", async () => {
    const batch = Buffer.concat([
      parse("", "insert into notes values ($1)"),
      bind("", "", ["a"]),
      execute(""),
      parse("", "update accounts set balance = balance - 1 where id = $1"),
      bind("", "", ["5"]),
      execute(""),
      sync,
    ]);
    for (const size of [1, 7, 23, 64]) {
      for (let at = 0; at < batch.length; at += size) {
        client.send(batch.subarray(at, at + size));
        if (size < 10) await new Promise((resolve) => setImmediate(resolve));
      }
      const waiting = await pending(postern);
      expect(waiting.statements.map(({ kind }) => kind)).toEqual(["insert", "update"]);
      await approve(postern, waiting.id);
      expect(types(await client.ready())).toBe("1N2C12CZ");
    }
    expect(await balance(5)).toBe(96);
  });

  it("a batch that is never ended does not stand still for ever", async () => {
    client.send(parse("", "insert into notes values ('x')"), bind("", ""), execute(""));
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    client.send(sync);
    expect(types(await client.ready())).toBe("12CZ");
    await works();
  });
});
