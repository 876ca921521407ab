/**
 * An agent that reaches the shop by MCP: it looks what it may do, is masked, is refused, takes the advice that comes with the refusal, asks
 * for an approval, and finishes its task once a person has agreed. It decides each step by what the last one told it.
 */
import type { Person } from "./people.ts";

export interface McpTarget {
  /** The endpoint, e.g. http://127.0.0.1:8432/mcp. */
  readonly url: string;
  readonly database: string;
  readonly agent: Person;
  token(person: Person): Promise<string>;
  /** Has a person approve what the agent asked for. Resolves when that is done. */
  approve(id: string): Promise<void>;
}

type Told = Readonly<Record<string, unknown>> & { readonly status?: unknown };

interface Call {
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** One thing the agent does, and what the demo expects of it. */
interface Act {
  readonly title: string;
  call(known: Notes): Call;
  /** What is said of the result; null: it went otherwise than expected. */
  read(told: Told, known: Notes): string | null;
}

/** What the agent has learned so far. */
interface Notes {
  order: readonly unknown[];
  approval: string;
  insert: Call | null;
}

const version = "2026-07-28";

/** Runs the agent. `say` gets a line for each step. Gives the number of steps that went otherwise than expected; rejects when it cannot go on. */
export async function tellMcpStory(target: McpTarget, say: (line: string) => void): Promise<number> {
  const notes: Notes = { order: [], approval: "", insert: null };
  let surprises = 0;
  let title = "";
  for (const act of acts(target)) {
    if (act.title !== title) say(`  -- ${act.title}`);
    title = act.title;
    const call = act.call(notes);
    const told = await ask(target, call);
    const read = act.read(told, notes);
    if (read === null) surprises++;
    const time = new Date().toISOString().slice(11, 19);
    const shown = typeof call.arguments.sql === "string" ? call.arguments.sql : "";
    const text = read ?? `UNEXPECTED ${JSON.stringify(told).slice(0, 300)}`;
    say(
      `${time}  ${target.agent.client.padEnd(13)}  ${call.tool.padEnd(16)}  ${shown === "" ? "" : `${shown} -> `}${text}`,
    );
    if (notes.approval !== "" && call.tool === "query" && told.status === "approval_required")
      await target.approve(notes.approval);
  }
  return surprises;
}

function acts({ database }: McpTarget): readonly Act[] {
  const look = "An agent without a socket: the same gate by MCP";
  const task = "Its task: open a ticket for the oldest parcel that is still on its way";
  const query = (sql: string, params: readonly unknown[] = []): Call => ({
    tool: "query",
    arguments: { database, sql, params, intent: "open a ticket for a late parcel" },
  });
  return [
    {
      title: look,
      call: () => ({ tool: "describe_access", arguments: { database } }),
      read(told) {
        const tables = tablesOf(told);
        const customers = tables.get("public.customers") ?? "";
        const [email] = /email \w+ \([^)]*\)/.exec(customers) ?? [];
        return tables.size === 0 || email === undefined || customers.includes("password_hash")
          ? null
          : `${tables.size} tables; customers: ${email}`;
      },
    },
    {
      title: look,
      call: () => ({ tool: "describe_table", arguments: { database, table: "public.support_tickets" } }),
      read: (told) =>
        told.status === "ok" && Array.isArray(told.columns)
          ? `${told.columns.length} columns, ${String(told.may)}`
          : null,
    },
    {
      title: task,
      call: () =>
        query(
          "SELECT o.id, o.customer_id, c.full_name, c.email FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = $1 ORDER BY o.ordered_at LIMIT 1",
          ["shipped"],
        ),
      read(told, notes) {
        const [row] = rowsOf(told);
        if (row === undefined) return null;
        notes.order = row;
        const masked = Array.isArray(told.masked) ? told.masked.join(", ") : "nothing";
        return `order ${String(row[0])} of ${String(row[2])} <${String(row[3])}> (masked: ${masked})`;
      },
    },
    {
      title: task,
      call: () => query("SELECT id FROM customers WHERE email LIKE $1", ["a%"]),
      read: (told) =>
        told.code === "PROTECTED_PREDICATE"
          ? `refused (${String(told.code)}); allowed: ${String(told.allowed)}`
          : null,
    },
    {
      title: task,
      call(notes) {
        const [order, customer] = notes.order;
        notes.insert = query(
          "INSERT INTO support_tickets (customer_id, order_id, subject, body) VALUES ($1, $2, $3, $4) RETURNING id, opened_by",
          [
            customer ?? null,
            order ?? null,
            "Parcel has not arrived",
            `Order ${String(order)} has been on its way for long.`,
          ],
        );
        return { tool: "explain", arguments: { database, sql: notes.insert.arguments.sql } };
      },
      read: (told) => (told.verdict === "approve" ? `needs approval by rule ${String(told.rule)}` : null),
    },
    {
      title: task,
      call: (notes) => notes.insert ?? query("SELECT 1"),
      read(told, notes) {
        const { approval } = told;
        const id = typeof approval === "object" && approval !== null ? Reflect.get(approval, "id") : null;
        if (told.status !== "approval_required" || typeof id !== "string") return null;
        notes.approval = id;
        return `a person must agree: approval ${id}`;
      },
    },
    {
      title: "A person approves, and it finishes",
      call: (notes) => ({ tool: "approval_wait", arguments: { id: notes.approval, seconds: 30 } }),
      read: (told) => (told.state === "approved" ? "approved" : null),
    },
    {
      title: "A person approves, and it finishes",
      call: (notes) => notes.insert ?? query("SELECT 1"),
      read(told) {
        const [row] = rowsOf(told);
        return row === undefined || told.command !== "INSERT 0 1"
          ? null
          : `ticket ${String(row[0])}, opened by ${String(row[1])}`;
      },
    },
  ];
}

function tablesOf(told: Told): Map<string, string> {
  const [first] = Array.isArray(told.databases) ? (told.databases as unknown[]) : [];
  const tables = typeof first === "object" && first !== null ? Reflect.get(first, "tables") : null;
  return new Map(
    Object.entries(typeof tables === "object" && tables !== null ? tables : {}).map(([name, text]) => [
      name,
      String(text),
    ]),
  );
}

function rowsOf({ rows }: Told): readonly (readonly unknown[])[] {
  return Array.isArray(rows) ? rows.filter((row): row is unknown[] => Array.isArray(row)) : [];
}

let last = 0;

/** One tool call (MCP 2026-07-28): everything that the gateway must know comes with it. */
async function ask(target: McpTarget, { tool, arguments: args }: Call): Promise<Told> {
  const response = await fetch(target.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${await target.token(target.agent)}`,
      "mcp-protocol-version": version,
      "mcp-method": "tools/call",
      "mcp-name": tool,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: ++last,
      method: "tools/call",
      params: {
        name: tool,
        arguments: args,
        _meta: {
          "io.modelcontextprotocol/protocolVersion": version,
          "io.modelcontextprotocol/clientInfo": { name: target.agent.client, version: "1.0" },
          "io.modelcontextprotocol/clientCapabilities": {},
          "postern/model": "scripted-1",
          "postern/run": `demo-mcp-${process.pid}`,
        },
      },
    }),
  });
  const answer = (await response.json()) as {
    result?: { structuredContent?: Told };
    error?: { message?: string };
  };
  // Arguments that are none of the tool's are refused without an object.
  const told =
    answer.result === undefined ? undefined : (answer.result.structuredContent ?? { status: "error" });
  if (told === undefined)
    throw new Error(`the MCP endpoint answered with HTTP ${response.status}: ${answer.error?.message ?? ""}`);
  return told;
}
