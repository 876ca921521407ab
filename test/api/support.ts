/** A whole gateway (as `postern serve` composes it) in front of a real PostgreSQL, with tokens for every role. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import pino from "pino";
import { z } from "zod";
import { errorBody } from "../../src/api/schema/common.ts";
import { specs } from "../../src/api/schema/index.ts";
import { type ComposedGateway, composeGateway } from "../../src/cli/lib/compose.ts";
import { parseConfig } from "../../src/config/index.ts";
import { sharedCluster } from "../support/cluster.ts";
import { startTestIdp, type TestIdp } from "../support/idp.ts";
import { type Leaf, readLeaves } from "../support/postern.ts";

export const roles = ["agent", "user", "approver", "auditor", "admin"] as const;
export type TestRole = (typeof roles)[number];

const groups: Readonly<Record<TestRole, readonly string[]>> = {
  agent: ["testers"],
  user: ["people", "testers"],
  approver: ["people", "testers", "stewards"],
  auditor: ["people", "audit"],
  admin: ["people", "security"],
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at by the tests, member by member
  readonly body: any;
}

export interface TestApi {
  readonly url: string;
  readonly dir: string;
  readonly gateway: ComposedGateway;
  readonly idp: TestIdp;
  /** A token of a role; the subject is the role's name unless told. */
  token(role: TestRole, claims?: Record<string, unknown>): Promise<string>;
  /** Asks as a role (or with a token); null: without any. */
  ask(
    as: TestRole | { token: string } | null,
    path: string,
    init?: RequestInit & { json?: unknown },
  ): Promise<Answer>;
  /** A client on the wire. */
  connect(role: TestRole, claims?: Record<string, unknown>, options?: string): Promise<pg.Client>;
  records(): Promise<Leaf[]>;
  stop(): Promise<void>;
}

export const policy = `version: 1
labels:
  - label: pii.email
    columns: ["*.public.people.email"]
    mask: partial
rules:
  - name: read
    when: 'statement.effects == ["read"]'
    then: allow
    limits: { rows: 1000 }
  - name: no-drop
    when: 'statement.kind == "ddl"'
    then: deny
    message: "no DDL here"
  - name: people-write
    when: 'principal.kind == "human" && "write" in statement.effects'
    then: allow
  - name: agents-write
    when: 'principal.kind == "agent" && "write" in statement.effects'
    then: approve
    approvers: { groups: [stewards], count: 1, within: 60s }
`;

/** `lockout`: whether failed logins make an address wait. `extra`: more of postern.yaml; `provider`, `identity`: of its provider, of `identity`. */
export async function startTestApi(
  options: { lockout?: boolean; extra?: string; provider?: string; identity?: string } = {},
): Promise<TestApi> {
  const { lockout = false, extra = "", provider = "", identity = "" } = options;
  const cluster = await sharedCluster();
  const dbname = await cluster.createDatabase();
  await cluster.query(
    dbname,
    "CREATE TABLE people (id int PRIMARY KEY, name text, email text); INSERT INTO people SELECT i, 'n' || i, 'p' || i || '@example.com' FROM generate_series(1, 20) i",
  );
  const dir = mkdtempSync(join(tmpdir(), "postern-api-"));
  const idp = await startTestIdp();
  writeFileSync(join(dir, "password"), cluster.password);
  writeFileSync(join(dir, "policy.yaml"), policy);
  const file = join(dir, "postern.yaml");
  const settings = await parseConfig(
    `version: 1
listen: { postgres: 127.0.0.1:0, http: 127.0.0.1:0 }
identity:
  providers:
    - name: corp
      type: oidc
      issuer: ${idp.issuer}
      audience: postern
      kinds: [ { kind: human, when: '"people" in claims.groups' } ]
${provider === "" ? "" : `      ${provider}\n`}  lockout: { enabled: ${lockout} }
${identity === "" ? "" : `  ${identity}\n`}databases:
  - name: shop
    server: { host: ${cluster.host}, port: ${cluster.port}, dbname: ${dbname}, tls: { mode: disable } }
    logins: [ { groups: [testers], user: ${cluster.superuser}, password: { file: password } } ]
policy: policy.yaml
admin: { admins: [security], auditors: [audit], approvers: [stewards] }
audit: { dir: audit, node: test, durability: process }
${extra}`,
    file,
  );
  const gateway = await composeGateway(settings, pino({ level: process.env.POSTERN_LOG ?? "silent" }));
  const address = gateway.http?.address;
  const wire = gateway.gateway.addresses[0];
  if (address === undefined || wire === undefined || !("port" in wire)) throw new Error("no listener");
  const url = `http://127.0.0.1:${address.port}`;
  const token = (role: TestRole, claims: Record<string, unknown> = {}) =>
    idp.mint({
      sub: role,
      groups: groups[role],
      email: `${role}@example.com`,
      ...(role === "agent" ? { client_id: "agent-7" } : { auth_time: Math.floor(Date.now() / 1000) }),
      ...claims,
    });
  return {
    url,
    dir,
    gateway,
    idp,
    token,
    async ask(as, path, { json, ...init } = {}) {
      const headers = new Headers(init.headers);
      if (as !== null)
        headers.set("authorization", `Bearer ${typeof as === "string" ? await token(as) : as.token}`);
      if (json !== undefined) headers.set("content-type", "application/json");
      const answer = await fetch(url + path, {
        ...init,
        headers,
        redirect: "manual",
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      });
      const text = await answer.text();
      const isJson = answer.headers.get("content-type")?.startsWith("application/json") === true;
      const body = isJson ? JSON.parse(text) : text;
      checkAnswer(init.method ?? "GET", path, answer.status, body);
      return { status: answer.status, headers: answer.headers, body };
    },
    async connect(role, claims, options) {
      const client = new pg.Client({
        host: wire.host,
        port: wire.port,
        database: "shop",
        user: role,
        password: await token(role, claims),
        ...(options === undefined ? {} : { options }),
      });
      await client.connect();
      return client;
    },
    async records() {
      await gateway.audit.settle();
      return readLeaves(join(dir, "audit"));
    },
    async stop() {
      await gateway.stop(0);
      await idp.close();
      rmSync(dir, { recursive: true, force: true });
      await cluster.dropDatabase(dbname);
    },
  };
}

/** Every answer is what its schema says, and every refusal has the one shape of errors. */
function checkAnswer(method: string, path: string, status: number, body: unknown): void {
  if (!path.startsWith("/api/")) return;
  if (status >= 400) {
    errorBody.parse(body);
    return;
  }
  const { pathname } = new URL(path, "http://localhost");
  const fits = specs.filter((spec) => {
    const parts = spec.path.split("/");
    const given = pathname.split("/");
    return (
      spec.method === method &&
      parts.length === given.length &&
      parts.every((part, i) => part.startsWith(":") || part === given[i])
    );
  });
  // The one without parameters in its path comes first.
  const [spec] = fits.sort((a, b) => a.path.split(":").length - b.path.split(":").length);
  if (spec?.answer !== undefined && spec.answer !== null) strict(spec.answer).parse(body);
}

/** Members that the schema does not know are told by tests, though the API may grow. */
function strict(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
}

/** One event of a stream. */
export interface StreamEvent {
  readonly type: string;
  readonly id: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: events are looked at by the tests, member by member
  readonly data: any;
}

/** Reads /api/events; `until` waits for an event that fits. */
export async function openStream(
  api: TestApi,
  as: TestRole,
  query = "",
  headers: Record<string, string> = {},
) {
  const stop = new AbortController();
  const response = await fetch(`${api.url}/api/events${query}`, {
    headers: { authorization: `Bearer ${await api.token(as)}`, ...headers },
    signal: stop.signal,
  });
  const events: StreamEvent[] = [];
  const waiting = new Set<() => void>();
  let ended = false;
  const reading = (async () => {
    let text = "";
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const lines = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          const field = (name: string) =>
            lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? null;
          const data = field("data");
          if (data !== null)
            events.push({ type: field("event") ?? "message", id: field("id"), data: JSON.parse(data) });
        }
        for (const look of waiting) look();
      }
    } catch {
      // Aborted.
    }
    ended = true;
    for (const look of waiting) look();
  })();
  return {
    status: response.status,
    headers: response.headers,
    events,
    get ended() {
      return ended;
    },
    until(fits: (event: StreamEvent) => boolean, ms = 10_000): Promise<StreamEvent> {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(
            new Error(`no such event among ${JSON.stringify(events.map(({ type, data }) => [type, data]))}`),
          );
        }, ms);
        const look = () => {
          const found = events.find(fits);
          if (found === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      });
    },
    async close() {
      stop.abort();
      await reading;
    },
    reading,
  };
}
