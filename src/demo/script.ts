/** What the scripted agents do, step by step. A step says what it expects, so the demo checks itself. */
import type { Client } from "pg";
import { approver, engineer, type Person, reportAgent, supportAgent } from "./people.ts";
import { callFunctionByNumber } from "./raw.ts";

/** Who must have refused: PostgreSQL for want of rights or sense, or Postern before PostgreSQL saw it. */
export type Expectation =
  | { readonly outcome: "ok" }
  | { readonly outcome: "error"; readonly sqlstate: string; readonly by: "PostgreSQL" | "Postern" };

export interface Step {
  /** The chapter of the story; steps that follow each other with the same title belong together. */
  readonly title: string;
  readonly as: Person;
  /** What is shown as the statement. */
  readonly sql: string;
  /** Runs it on the agent's session and gives the result in a few words. Throws what the driver throws. */
  run(client: Client): Promise<string>;
  readonly expect: Expectation;
  /** It waits for a person, who then decides so. */
  readonly held?: Held;
}

export interface Held {
  readonly by: Person;
  readonly verdict: "approve" | "deny";
  readonly reason: string;
}

type Row = Readonly<Record<string, unknown>>;
const ok: Expectation = { outcome: "ok" };
const refused: Expectation = { outcome: "error", sqlstate: "42501", by: "Postern" };

/** The script from its beginning. Each call gives fresh steps; they share what pages and transactions need. */
export function shopScript(): readonly Step[] {
  const query = (
    title: string,
    as: Person,
    sql: string,
    show: (rows: readonly Row[], count: number) => string,
    expect: Expectation = ok,
    held?: Held,
  ): Step => ({
    title,
    as,
    sql,
    expect,
    ...(held === undefined ? {} : { held }),
    async run(client) {
      const result = await client.query<Row>(sql);
      return show(result.rows, result.rowCount ?? 0);
    },
  });
  const look = "The reporting agent looks around";
  const wrong = "Some things it may not do: the database never sees them";
  const clever = "Some things it tries instead";
  const person = "A write of an agent waits for a person";
  const ticket = "The engineer needs nobody's leave";
  const done = () => "done";
  return [
    query(
      look,
      reportAgent,
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
      (rows) => list(rows, "table_name"),
    ),
    query(
      look,
      reportAgent,
      "SELECT column_name FROM information_schema.columns WHERE table_name = 'customers'",
      (rows) => `${list(rows, "column_name")} (******** is the name of one that nobody may read)`,
    ),
    query(look, reportAgent, "SELECT id, full_name, email, city FROM customers ORDER BY id LIMIT 3", (rows) =>
      rows.map((row) => `${text(row.full_name)} <${text(row.email)}>`).join(", "),
    ),
    query(
      "It adds up",
      reportAgent,
      "SELECT month, orders, revenue FROM monthly_revenue ORDER BY month DESC LIMIT 3",
      (rows) => rows.map((row) => `${text(row.orders)} orders ${text(row.revenue)} EUR`).join(", "),
    ),
    query(
      "It adds up",
      reportAgent,
      "SELECT p.category, sum(i.quantity * i.unit_price) AS sold FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
      (rows) => rows.map((row) => `${text(row.category)} ${text(row.sold)}`).join(", "),
    ),
    ...pages("It reads page by page, with a prepared statement"),
    query(wrong, reportAgent, "DROP TABLE customers", done, refused),
    query(
      wrong,
      reportAgent,
      "WITH gone AS (DELETE FROM orders RETURNING id) SELECT count(*) FROM gone",
      done,
      refused,
    ),
    query(clever, reportAgent, "SELECT c::text FROM customers c", done, refused),
    query(clever, reportAgent, "SELECT full_name FROM customers WHERE email LIKE 'a%'", done, refused),
    query(clever, reportAgent, "SELECT password_hash FROM customers", done, refused),
    query(clever, reportAgent, "SELEC full_name FROM customers", done, {
      outcome: "error",
      sqlstate: "42601",
      by: "PostgreSQL",
    }),
    {
      title: clever,
      as: reportAgent,
      sql: "(FunctionCall message: function number 89, no SQL)",
      run: callFunctionByNumber,
      expect: { outcome: "error", sqlstate: "0A000", by: "Postern" },
    },
    query(
      clever,
      reportAgent,
      "SELECT count(*) FROM customers",
      (rows) => `${text(rows[0]?.count)} customers: the session goes on`,
    ),
    query(
      person,
      supportAgent,
      "INSERT INTO support_tickets (customer_id, subject, body) VALUES (1, 'Parcel', 'It has not arrived')",
      (_, count) => `${count} row, written once a person had agreed`,
      ok,
      { by: approver, verdict: "approve", reason: "the customer called about it" },
    ),
    query(
      person,
      supportAgent,
      "UPDATE orders SET status = 'cancelled' WHERE status = 'shipped' AND id < 40",
      done,
      refused,
      { by: approver, verdict: "deny", reason: "shipped orders are not cancelled" },
    ),
    query(
      person,
      supportAgent,
      "SELECT count(*) FROM orders WHERE status = 'cancelled' AND id < 40",
      (rows) => `${text(rows[0]?.count)}, as before: none was changed`,
    ),
    query(ticket, engineer, "BEGIN", done),
    ...openTicket(ticket),
    query(ticket, engineer, "COMMIT", done),
  ];
}

/** Keyset pages over orders; each page is one Bind/Execute of the same prepared statement. */
function pages(title: string): readonly Step[] {
  const sql = "SELECT id, ordered_at, total FROM orders WHERE id > $1 AND status = $2 ORDER BY id LIMIT $3";
  let last = "0";
  return [1, 2, 3].map((page) => ({
    title,
    as: reportAgent,
    sql,
    expect: ok,
    async run(client) {
      const from = last;
      const result = await client.query<Row>({
        name: "orders_page",
        text: sql,
        values: [from, "shipped", 50],
      });
      last = text(result.rows.at(-1)?.id ?? from);
      return `page ${page}: ${result.rows.length} rows after id ${from}`;
    },
  }));
}

function openTicket(title: string): readonly Step[] {
  const find =
    "SELECT o.id, o.customer_id, c.full_name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = $1 ORDER BY o.ordered_at LIMIT 1";
  const insert =
    "INSERT INTO support_tickets (customer_id, order_id, subject, body) VALUES ($1, $2, $3, $4) RETURNING id, opened_by";
  let order: Row = {};
  return [
    {
      title,
      as: engineer,
      sql: find,
      expect: ok,
      async run(client) {
        order = (await client.query<Row>(find, ["shipped"])).rows[0] ?? {};
        return `order ${text(order.id)} of ${text(order.full_name)}`;
      },
    },
    {
      title,
      as: engineer,
      sql: insert,
      expect: ok,
      async run(client) {
        const body = `Order ${text(order.id)} has been shipped for a while; please ask the carrier.`;
        const result = await client.query<Row>(insert, [
          order.customer_id,
          order.id,
          "Parcel has not arrived",
          body,
        ]);
        return `ticket ${text(result.rows[0]?.id)}, opened by ${text(result.rows[0]?.opened_by)}`;
      },
    },
  ];
}

function list(rows: readonly Row[], column: string): string {
  return rows.map((row) => text(row[column])).join(", ");
}

function text(value: unknown): string {
  return value === null || value === undefined ? "?" : String(value);
}
