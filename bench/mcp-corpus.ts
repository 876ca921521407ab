/**
 * The visible half of the corpus as attacks on MCP servers: each statement that must be denied, masked or both goes through each server's tool, against
 * a laboratory of its own. What counts is what came back and what changed, not what was said:
 *
 *     node bench/mcp-corpus.ts /tmp/mcpbench        # installed as bench/mcp.ts says
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { cases, type Lab, leaks, startLab } from "../test/corpus/lab.ts";
import { openDoor } from "../test/mcp/support.ts";

const others = process.argv[2] ?? "/tmp/mcpbench";
const attacks = cases().filter(({ kind, expected }) => kind === "sql" && /^(?:DENY|MASK)/.test(expected));
/** A server that has hung itself up over one attack gets the next in a process of its own. */
const patienceMs = 10_000;

interface Server {
  readonly name: string;
  readonly tool: string;
  open(): Promise<{ readonly client: Client; close(): Promise<void> }>;
  arguments(sql: string): Record<string, unknown>;
}

function program(name: string, tool: string, bin: string, args: readonly string[]): Server | null {
  const command = join(others, "node_modules/.bin", bin);
  if (!existsSync(command)) return null;
  return {
    name,
    tool,
    arguments: (sql) => ({ sql }),
    async open() {
      const client = new Client({ name: "bench", version: "1" });
      const env = { PATH: process.env.PATH ?? "" };
      await client.connect(new StdioClientTransport({ command, args: [...args], env, stderr: "ignore" }));
      return { client, close: () => client.close() };
    },
  };
}

async function attack(server: Server, lab: Lab): Promise<string> {
  let opened = await server.open();
  const count = { leaked: 0, changed: 0 };
  let before = await lab.digest();
  for (const { sql } of attacks) {
    const call = { name: server.tool, arguments: server.arguments(sql) };
    let text = "";
    try {
      const result = await opened.client.callTool(call, { timeout: patienceMs });
      text = JSON.stringify(result.content);
    } catch (error) {
      text = error instanceof Error ? error.message : "";
      await opened.close().catch(() => undefined);
      opened = await server.open();
    }
    if (leaks(text, sql).length > 0) count.leaked++;
    const after = await lab.digest();
    if (after !== before) count.changed++;
    before = after;
  }
  await opened.close();
  return `${server.name}: of ${attacks.length} statements ${count.leaked} gave protected values away, ${count.changed} changed the database`;
}

const folder = mkdtempSync(join(tmpdir(), "postern-bench-corpus-"));
const makers: readonly ((lab: Lab) => Promise<Server | null>)[] = [
  async (lab) => ({
    name: "Postern",
    tool: "query",
    arguments: (sql) => ({ database: "lab", sql }),
    async open() {
      const door = await openDoor(lab.postern);
      const token = await lab.postern.token({ groups: ["testers", "agents"] });
      return { client: await door.connect("modern", token), close: () => door.stop() };
    },
  }),
  async (lab) => {
    const file = join(folder, "dbhub.toml");
    const dsn = `${lab.cluster.url("lab", "agent_ro", "agent")}?sslmode=disable`;
    writeFileSync(
      file,
      `[[sources]]\nid = "default"\ndsn = "${dsn}"\n\n[[tools]]\nname = "execute_sql"\nsource = "default"\nreadonly = true\n`,
    );
    return program("DBHub", "execute_sql", "dbhub", ["--transport", "stdio", `--config=${file}`]);
  },
  async (lab) =>
    program("server-postgres", "query", "mcp-server-postgres", [lab.cluster.url("lab", "agent_ro", "agent")]),
];
try {
  for (const make of makers) {
    const lab = await startLab();
    try {
      const server = await make(lab);
      if (server !== null) process.stdout.write(`${await attack(server, lab)}\n`);
    } finally {
      await lab.stop();
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
