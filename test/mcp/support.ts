/** A gateway with its MCP endpoint on a real port, and the official client. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Hono } from "hono";
import pino from "pino";
import { defaultMcpSettings, type McpDeps, type McpSettings, mcpRoutes } from "../../src/mcp/index.ts";
import { type Database, sharedCluster } from "../support/cluster.ts";
import { startTestPostern, type TestOptions, type TestPostern } from "../support/postern.ts";

export type Era = "legacy" | "modern";
export const eras: readonly Era[] = ["legacy", "modern"];

export interface McpHouse {
  readonly cluster: Database;
  readonly dbname: string;
  readonly postern: TestPostern;
  readonly url: string;
  /** A client that has connected. */
  connect(era: Era, token?: string, capabilities?: Record<string, unknown>): Promise<Client>;
  stop(): Promise<void>;
}

export interface HouseOptions extends Partial<Omit<TestOptions, "server" | "dbname">> {
  readonly schema?: string;
  readonly mcp?: Partial<McpSettings>;
  readonly deps?: Partial<McpDeps>;
  /** The role that statements run as; default: the superuser. */
  readonly login?: { readonly user: string; readonly password: string };
}

export async function startHouse({ schema, mcp, deps, login, ...options }: HouseOptions): Promise<McpHouse> {
  const cluster = await sharedCluster();
  const dbname = await cluster.createDatabase();
  if (schema !== undefined) await cluster.query(dbname, schema);
  const { host, port } = cluster;
  const user = login ?? { user: cluster.superuser, password: cluster.password };
  const postern = await startTestPostern({ server: { host, port, ...user }, dbname, ...options });
  const asked = options.approvals === undefined ? {} : { approvals: postern.approvals };
  const door = await openDoor(postern, mcp, { ...asked, ...deps });
  return {
    cluster,
    dbname,
    postern,
    ...door,
    async stop() {
      await door.stop();
      await postern.stop();
      await cluster.dropDatabase(dbname);
    },
  };
}

/** The MCP endpoint of a gateway that runs already. */
export async function openDoor(
  postern: TestPostern,
  mcp: Partial<McpSettings> = {},
  deps: Partial<McpDeps> = {},
): Promise<Pick<McpHouse, "url" | "connect" | "stop">> {
  const app = new Hono();
  let base = "";
  mcpRoutes({
    gateway: postern.gateway,
    identity: postern.identity,
    approvals: null,
    tasks: null,
    settings: { ...defaultMcpSettings, authorizationServers: [postern.idp.issuer], ...mcp },
    publicUrl: () => base,
    activity: null,
    version: "0.0.0-test",
    logger: pino({ level: process.env.POSTERN_LOG ?? "silent" }),
    ...deps,
  })(app);
  const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" });
  if (!server.listening) await once(server, "listening");
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const clients: Client[] = [];
  return {
    url: base,
    async connect(era, token, capabilities = {}) {
      const bearer = token ?? (await postern.token());
      const client = new Client(
        { name: "test-agent", version: "1.2.3" },
        { capabilities, versionNegotiation: { mode: era === "legacy" ? "legacy" : { pin: "2026-07-28" } } },
      );
      const transport = new StreamableHTTPClientTransport(new URL(`${base}/mcp`), {
        requestInit: { headers: { authorization: `Bearer ${bearer}` } },
      });
      await client.connect(transport);
      clients.push(client);
      return client;
    },
    async stop() {
      for (const client of clients) await client.close().catch(() => undefined);
      server.close();
    },
  };
}

/** A tool's structured result. */
export async function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
  meta?: Record<string, unknown>,
): Promise<{ readonly error: boolean; readonly text: string; readonly [field: string]: unknown }> {
  const result = await client.callTool({
    name,
    arguments: args,
    ...(meta === undefined ? {} : { _meta: meta }),
  });
  const [first] = result.content;
  const structured = result.structuredContent as Record<string, unknown> | undefined;
  return {
    ...structured,
    error: result.isError === true,
    text: first?.type === "text" ? first.text : "",
  };
}
