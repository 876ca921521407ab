/** Statements that tools send when nobody means any harm, and a gateway under the policy that comes with Postern. */
import { readdirSync, readFileSync } from "node:fs";
import { encodeFrontend } from "../../src/protocol/index.ts";
import { describe_, execute, field, parse, query, sync } from "../e2e/messages.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestPostern } from "../support/postern.ts";
import { type RawClient, type RawMessage, rawLogin } from "../support/raw.ts";

const text = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");

/** One message of a tool: a Query, or with `types` a Parse and what was bound to it. */
export interface Sent {
  readonly sql: string;
  readonly types?: readonly number[];
  readonly values?: readonly (string | null | { readonly hex: string })[];
}

/** What each tool sends, by its name. */
export function traffic(): Map<string, readonly Sent[]> {
  const folder = new URL("traffic/", import.meta.url);
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name.replace(/\.\w+$/, ""), read(name, text(`traffic/${name}`))]),
  );
}

function read(name: string, content: string): Sent[] {
  if (name.endsWith(".jsonl"))
    return content
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Sent);
  return content
    .replace(/^--.*$/gm, "")
    .split(/;[ \t]*\n/)
    .map((sql) => ({ sql: sql.trim() }))
    .filter(({ sql }) => sql !== "");
}

export interface BenignLab {
  readonly postern: TestPostern;
  readonly cluster: Database;
  readonly dbname: string;
  login(subject: string): Promise<RawClient>;
  /** The same without labels: nothing is protected. */
  loginUnlabelled(subject: string): Promise<RawClient>;
  stop(): Promise<void>;
}

const unlabelled = `
version: 1
extends: agent-safe
`;
const policy = `${unlabelled}
labels:
  - label: pii
    columns: ["*.shop.customers.email", "*.shop.customers.phone", "*.shop.leads.email"]
    mask: partial
`;

export async function startBenignLab(): Promise<BenignLab> {
  const cluster = await sharedCluster();
  const dbname = await cluster.createDatabase();
  const role = `${dbname}_reader`;
  await cluster.query(dbname, text("schema.sql"));
  await cluster.query(dbname, text("tpch.sql"));
  await cluster.query(
    dbname,
    `create role ${role} login password 'reader';
     grant usage on schema shop, tpch to ${role};
     grant select on all tables in schema shop, tpch, public to ${role};
     grant usage on all sequences in schema shop to ${role}`,
  );
  const options = {
    server: { host: cluster.host, port: cluster.port, user: role, password: "reader" },
    dbname,
  };
  const postern = await startTestPostern({ ...options, policy });
  const bare = await startTestPostern({ ...options, policy: unlabelled });
  const login = async (gateway: TestPostern, subject: string): Promise<RawClient> =>
    rawLogin(gateway, await gateway.token({ sub: subject }), { options: "-c search_path=shop,public" });
  return {
    postern,
    cluster,
    dbname,
    login: (subject) => login(postern, subject),
    loginUnlabelled: (subject) => login(bare, subject),
    async stop() {
      await postern.stop();
      await bare.stop();
      await cluster.dropDatabase(dbname);
      await cluster.query("postgres", `drop role ${role}`);
    },
  };
}

export interface Refused {
  readonly sqlstate: string;
  /** Postern's code; null: the server's own error. */
  readonly code: string | null;
  readonly message: string;
}

/** Sends one message as the tool did; what it was refused for, null: it ran. */
export async function send(client: RawClient, { sql, types, values }: Sent): Promise<Refused | null> {
  if (types === undefined) client.send(query(sql));
  else
    client.send(
      parse("", sql, [...types]),
      encodeFrontend({
        type: "bind",
        portal: "",
        statement: "",
        parameterFormats: (values ?? []).map((value) =>
          value !== null && typeof value === "object" ? 1 : 0,
        ),
        parameters: (values ?? []).map((value) =>
          value === null
            ? null
            : typeof value === "string"
              ? Buffer.from(value)
              : Buffer.from(value.hex, "hex"),
        ),
        resultFormats: [],
      }),
      describe_("portal", ""),
      execute(""),
      sync,
    );
  const messages: RawMessage[] = await client.ready();
  const error = messages.find((one) => one.type === "E");
  if (error === undefined) return null;
  const detail = field(error, "D") ?? "";
  return {
    sqlstate: field(error, "C") ?? "",
    code: detail.startsWith('{"v":') ? (JSON.parse(detail) as { code: string }).code : null,
    message: field(error, "M") ?? "",
  };
}
