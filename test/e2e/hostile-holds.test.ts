/** Attacks on the hold: what people agreed to is what runs, and nothing else gets out of step while they think. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";
import { holdPolicy, pending, person, tables } from "./hold-support.ts";
import { bind, execute, field, flush, parse, query, sync, types } from "./messages.ts";

let cluster: Database;
let dbname: string;
let postern: TestPostern;
let client: RawClient;

beforeAll(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  await cluster.query(dbname, `${tables}; create table pairs(a int, b int)`);
  postern = await startTestPostern({
    server: { host: cluster.host, port: cluster.port, user: cluster.superuser, password: cluster.password },
    dbname,
    policy: holdPolicy(),
    approvals: { settings: { requestsPerMinute: 1000, maxPendingPerPrincipal: 100, denials: 1000 } },
  });
});
afterAll(async () => {
  await postern?.stop();
  await cluster?.dropDatabase(dbname);
});
beforeEach(async () => {
  postern.setPolicy(holdPolicy());
  await cluster.query(dbname, "update accounts set balance = 100; truncate notes, pairs");
  client = await rawLogin(postern, await postern.token());
  return async () => {
    await client.end();
  };
});

const detail = (message: RawMessage | undefined) => JSON.parse(field(message, "D") ?? "{}");
const codeOf = (messages: readonly RawMessage[]) => {
  const error = messages.find(({ type }) => type === "E");
  return [field(error, "C"), detail(error).code];
};

async function anew(id: string): Promise<boolean> {
  const { items } = await postern.approvals.list({ state: "pending", kind: "statement", limit: 100 });
  return items.some((one) => one.id !== id);
}

describe("an approval for a shape", () => {
  const scope = { kind: "shape", uses: 10, seconds: 600 } as const;

  it.each([
    ["more rows", "insert into pairs values (1, 2)", "insert into pairs values (3, 4), (5, 6), (7, 8)"],
    [
      "a longer list",
      "delete from accounts where id in (1)",
      "delete from accounts where id in (2, 3, 4, 5, 6, 7)",
    ],
  ])("is not for %s", async (_, agreed, other) => {
    client.send(query(agreed));
    const first = await pending(postern);
    await postern.approvals.decide(first.id, person("stella"), "approve", { scope });
    expect(types(await client.ready())).toBe("NCZ");
    client.send(query(other));
    await client.until(({ type }) => type === "N" || type === "C");
    expect(await anew(first.id)).toBe(true);
  });

  it("is not given for texts whose literals are part of what they do", async () => {
    postern.setPolicy(
      holdPolicy(
        "30s",
        `  - name: files
    when: '"file" in statement.effects'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 30s }
`,
      ),
    );
    client.send(query("copy pairs to program 'cat > /dev/null'"));
    const first = await pending(postern);
    await expect(
      postern.approvals.decide(first.id, person("stella"), "approve", { scope }),
    ).rejects.toMatchObject({ code: "BAD_SCOPE" });
    await postern.approvals.decide(first.id, person("stella"), "deny", { reason: "no" });
    await client.ready();
  });
});

describe("the stream behind a held message", () => {
  it("stays in step when it overflows while the gateway still asks the session", async () => {
    client.send(query("begin"));
    await client.ready();
    const padding = " ".repeat(60_000);
    const behind = Array.from({ length: 200 }, (_, i) => query(`select ${i} ${padding}`));
    for (let round = 0; round < 2; round++) {
      client.send(query("update accounts set balance = 1 where id = 1"), ...behind);
      const refused = await client.ready();
      expect(codeOf(refused)).toEqual(["54000", "APPROVAL_OVERFLOW"]);
      // Behind the refusal the transaction is aborted: each is refused by the server, one answer each.
      for (let i = 0; i < behind.length; i++) expect(types(await client.ready())).toBe("EZ");
      client.send(query("rollback"), query("begin"));
      expect(types(await client.ready())).toBe("CZ");
      expect(types(await client.ready())).toBe("CZ");
    }
  });

  it("asks nobody about what the server discards after an error", async () => {
    client.send(
      parse("", "insert into notes values ($1)"),
      // One value is missing.
      bind("", "", []),
      flush,
      parse("", "update accounts set balance = 1 where id = 1"),
      bind("", "", []),
      execute(""),
      sync,
    );
    const got = await client.ready();
    expect(types(got)).toBe("1EZ");
    expect(field(got[1], "C")).toBe("08P01");
    expect((await postern.approvals.list({ state: "pending", limit: 10 })).items).toEqual([]);
    // Nothing of it is left for the next one.
    client.send(query("select 1"));
    expect(types(await client.ready())).toBe("TDCZ");
    client.send(query("update accounts set balance = 2 where id = 1"));
    const waiting = await pending(postern);
    await postern.approvals.decide(waiting.id, person("stella"), "approve");
    expect(types(await client.ready())).toBe("NCZ");
  });
});
