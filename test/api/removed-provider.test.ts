/** Providers that are taken out of the configuration by a reload: what was begun with their tokens ends there and then. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import pino from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { parseConfig } from "../../src/config/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";
import { readLeaves } from "../support/postern.ts";

let cluster: Database;
let dbname: string;
let dir: string;
let stays: TestIdp;
let goes: TestIdp;
let gateway: ComposedGateway;

interface Text {
  /** What stands in place of the provider that goes; "" for nothing. */
  readonly second?: string;
  readonly groups?: string;
  readonly limits?: string;
}

const provider = (name: string, issuer: string) =>
  `    - { name: ${name}, type: oidc, issuer: "${issuer}", audience: postern, kinds: [ { kind: human, when: '"people" in claims.groups' } ] }\n`;

function config({ second = provider("goes", goes.issuer), groups = "stays:a, goes:a" }: Text = {}) {
  return parseConfig(
    `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:0 }
identity:
  providers:
${provider("stays", stays.issuer)}${second}databases:
  - name: shop
    server: { host: ${cluster.host}, port: ${cluster.port}, dbname: ${dbname}, tls: { mode: disable } }
    logins: [ { groups: [${groups}], user: ${cluster.superuser}, password: { file: password } } ]
audit: { dir: audit, node: test, durability: process }
`,
    join(dir, "postern.yaml"),
  );
}

beforeEach(async () => {
  cluster = await sharedCluster();
  dbname = await cluster.createDatabase();
  dir = mkdtempSync(join(tmpdir(), "postern-removed-"));
  writeFileSync(join(dir, "password"), cluster.password);
  stays = await startTestIdp();
  goes = await startTestIdp();
  gateway = await composeGateway(await config(), pino({ level: "silent" }));
}, 120_000);

afterEach(async () => {
  await gateway.stop(0);
  await stays.close();
  await goes.close();
  rmSync(dir, { recursive: true, force: true });
  await cluster.dropDatabase(dbname);
});

const mint = (idp: TestIdp, sub: string) => idp.mint({ sub, groups: ["a", "people"] });
const url = () => `http://127.0.0.1:${gateway.http?.address.port}`;

async function connect(token: string) {
  const [wire] = gateway.gateway.addresses;
  if (wire === undefined || !("port" in wire)) throw new Error("no listener");
  const client = new pg.Client({ ...wire, database: "shop", user: "anyone", password: token });
  const over = Promise.withResolvers<{ code: string | undefined; message: string }>();
  client.on("error", (error: Error & { code?: string }) =>
    over.resolve({ code: error.code, message: error.message }),
  );
  await client.connect();
  return { client, over: over.promise };
}

async function exchange(token: string): Promise<{ status: number; token: string }> {
  const answer = await fetch(`${url()}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token: token,
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
    }),
  });
  const body = (await answer.json()) as { access_token?: string };
  return { status: answer.status, token: body.access_token ?? "" };
}

const endsOf = async () => {
  await gateway.audit.settle();
  return readLeaves(join(dir, "audit"))
    .filter(({ type }) => type === "session.end")
    .map(({ reason }) => String(reason));
};

async function eventually(check: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !check(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
  expect(check()).toBe(true);
}

test.each([
  ["and its groups stay in the logins of others", (): Text => ({ second: "", groups: "stays:a" }), true],
  [
    "with a new one in its place, which has to wait",
    (): Text => ({ second: provider("new", goes.issuer), groups: "stays:a, new:a" }),
    true,
  ],
  [
    "and its name is given to another",
    (): Text => ({ second: provider("goes", "https://elsewhere.example") }),
    false,
  ],
])("a provider goes %s: its sessions end, the others' go on", async (_how, next, waits) => {
  const own = await connect(await mint(stays, "amy"));
  const idle = await connect(await mint(goes, "bob"));
  const busy = await connect(await mint(goes, "cid"));
  const issued = await exchange(await mint(goes, "dan"));
  const byPostern = await connect(issued.token);
  const stream = await fetch(`${url()}/api/events`, {
    headers: { authorization: `Bearer ${await mint(goes, "eve")}` },
  });
  expect(stream.status).toBe(200);
  const streamed = stream.text().catch(() => "");
  const slept = busy.client.query("select pg_sleep(60)").catch((error: { code?: string }) => error.code);
  await eventually(() =>
    gateway.gateway
      .describe()
      .some(({ principal, statement }) => principal.subject === "cid" && statement !== null),
  );

  const { waiting, applied } = await gateway.reload(await config(next()));
  expect(waiting.includes("identity")).toBe(waits);
  expect(applied).toContain(waits ? "identity.providers" : "identity");
  for (const { over } of [idle, byPostern])
    expect(await over).toEqual({
      code: "57P01",
      message: "the identity provider of this session is not trusted any more; the session ends",
    });
  expect(["57P01", "57014"]).toContain(await slept);
  await streamed;
  await eventually(() => gateway.gateway.sessions.size === 1);
  expect(await endsOf()).toEqual(Array.from({ length: 3 }, () => "provider removed (goes)"));
  expect((await own.client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await own.client.end();

  await expect(connect(await mint(goes, "bob"))).rejects.toMatchObject({ code: "28P01" });
  await expect(connect(issued.token)).rejects.toMatchObject({ code: "28P01" });
  expect((await exchange(issued.token)).status).toBe(400);
  const again = await connect(await mint(stays, "amy"));
  await again.client.end();
});

test("a provider that only changes what it asks for ends nobody's session", async () => {
  const open = await connect(await mint(goes, "bob"));
  const text = provider("goes", goes.issuer).replace("audience: postern", "audience: elsewhere");
  const { applied } = await gateway.reload(await config({ second: text }));
  expect(applied).toEqual(["identity"]);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect((await open.client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await open.client.end();
});
