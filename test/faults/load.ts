/** Clients that write through the gateway until their connection breaks, and remember what they were told. */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import postgres from "postgres";
import { connect, endOf } from "./support.ts";

/** Statements that take effect together, or not at all. */
export interface Unit {
  /** Marks of the rows. */
  readonly rows: readonly string[];
  /** The mark of the statement whose success makes the rows last: COMMIT, or the last statement of the message. */
  readonly decider: string;
  /** What the client was told of the decider; null: nothing. */
  told: "ok" | "error" | null;
}

export interface Load {
  readonly units: readonly Unit[];
  /** Marks of the statements that a client got an answer to, errors included. */
  readonly answered: ReadonlySet<string>;
  /** SQLSTATE codes (or Node's codes, or messages) that connections ended with. */
  readonly ends: readonly string[];
  /** Resolves when `count` statements have been answered. */
  reached(count: number): Promise<void>;
  /** Clients finish what they do and leave. */
  stop(): void;
  /** Resolves when every client has left or lost its connection. */
  readonly done: Promise<void>;
}

let marks = 0;
export const mark = (): string => `mk${++marks}z`;

export interface LoadOptions {
  /** Connect again when a connection is lost, until stop(). */
  readonly again?: boolean;
  /** Bytes of ballast in each simple statement, as a literal. */
  readonly ballast?: number;
}

type Worker = (connection: Connection) => Promise<void>;

interface Connection {
  readonly client: pg.Client;
  readonly port: number;
  readonly token: string;
  unit(rows: readonly string[], decider: string): Unit;
  /** Awaits the answer to a statement with these marks; gives whether it succeeded. Throws when the connection is lost. */
  answer(marks: readonly string[], work: Promise<unknown>, unit?: Unit): Promise<boolean>;
  readonly stopping: boolean;
  readonly ballast: string;
}

const workers: readonly Worker[] = [
  simple,
  parameters,
  named,
  transactions,
  many,
  reader,
  sqlLevel,
  pipeline,
];

export function startLoad(port: number, token: string, options: LoadOptions = {}): Load {
  const units: Unit[] = [];
  const answered = new Set<string>();
  const ends: string[] = [];
  let stopping = false;
  let count = 0;
  let waiting: { count: number; done: () => void }[] = [];
  const ballast = options.ballast === undefined ? "" : ` /* ${"x".repeat(options.ballast)} */`;

  async function run(worker: Worker): Promise<void> {
    do {
      let client: pg.Client | null = null;
      try {
        client = await connect(port, token);
        const own = client;
        await worker({
          client: own,
          port,
          token,
          ballast,
          unit(rows, decider) {
            const unit: Unit = { rows, decider, told: null };
            units.push(unit);
            return unit;
          },
          async answer(which, work, unit) {
            let ok = true;
            try {
              await work;
            } catch (error) {
              // An error of the statement's own, in a session that goes on.
              if (!survives(error)) throw error;
              ok = false;
            }
            for (const one of which) answered.add(one);
            if (unit !== undefined) unit.told = ok ? "ok" : "error";
            count++;
            for (const w of waiting) if (count >= w.count) w.done();
            waiting = waiting.filter((w) => count < w.count);
            return ok;
          },
          get stopping() {
            return stopping;
          },
        });
        await own.end();
      } catch (error) {
        ends.push(codeOf((client === null ? undefined : endOf(client)) ?? error));
        client?.end().catch(() => {});
      }
    } while (options.again === true && !stopping);
  }

  const done = Promise.all(workers.map(run)).then(() => {
    for (const w of waiting) w.done();
  });
  return {
    units,
    answered,
    ends,
    reached: (wanted) =>
      new Promise((resolve) => {
        if (count >= wanted) resolve();
        else waiting.push({ count: wanted, done: resolve });
      }),
    stop() {
      stopping = true;
    },
    done,
  };
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : error.message;
}

/** Division by zero, a row that is there, a transaction that failed: errors that the load makes itself. */
function survives(error: unknown): boolean {
  return ["22012", "23505", "25P02"].includes(codeOf(error));
}

async function simple(c: Connection): Promise<void> {
  while (!c.stopping) {
    const id = mark();
    const unit = c.unit([id], id);
    await c.answer([id], c.client.query(`insert into t values ('${id}')${c.ballast}`), unit);
    const failing = mark();
    await c.answer([failing], c.client.query(`select 1 / 0 /* ${failing} */`));
  }
}

async function parameters(c: Connection): Promise<void> {
  while (!c.stopping) {
    const id = mark();
    const unit = c.unit([id], id);
    await c.answer([id], c.client.query("insert into t values ($1)", [id]), unit);
  }
}

async function named(c: Connection): Promise<void> {
  while (!c.stopping) {
    const id = mark();
    const unit = c.unit([id], id);
    const query = { name: "add", text: "insert into t (id) values ($1) returning id", values: [id] };
    await c.answer([id], c.client.query(query), unit);
  }
}

async function transactions(c: Connection): Promise<void> {
  for (let round = 0; !c.stopping; round++) {
    const [begin, first, second, end] = [mark(), mark(), mark(), mark()];
    await c.answer([begin], c.client.query(`begin /* ${begin} */`));
    await c.answer([first], c.client.query(`insert into t values ('${first}')`));
    await c.answer([second], c.client.query("insert into t values ($1)", [second]));
    if (round % 4 === 3) await c.answer([end], c.client.query(`rollback /* ${end} */`));
    else {
      const unit = c.unit([first, second], end);
      await c.answer([end], c.client.query(`commit /* ${end} */`), unit);
    }
  }
}

/** Several statements in one message: one implicit transaction. */
async function many(c: Connection): Promise<void> {
  while (!c.stopping) {
    const [first, second, last] = [mark(), mark(), mark()];
    const unit = c.unit([first, second, last], last);
    const text = [first, second, last].map((id) => `insert into t values ('${id}')`).join("; ");
    await c.answer([first, second, last], c.client.query(text), unit);
  }
}

/** Results of some size, on a new connection now and then. */
async function reader(c: Connection): Promise<void> {
  while (!c.stopping) {
    const client = await connect(c.port, c.token);
    try {
      for (let round = 0; round < 10 && !c.stopping; round++) {
        const id = mark();
        const text = `select '${id}', repeat('x', 500) from generate_series(1, 200)`;
        await c.answer([id], client.query(text));
      }
    } catch (error) {
      throw endOf(client) ?? error;
    } finally {
      client.end().catch(() => {});
    }
  }
}

async function sqlLevel(c: Connection): Promise<void> {
  const made = mark();
  await c.answer([made], c.client.query(`prepare put as insert into t values ($1) /* ${made} */`));
  while (!c.stopping) {
    const id = mark();
    const unit = c.unit([id], id);
    await c.answer([id], c.client.query(`execute put('${id}')`), unit);
  }
}

/** postgres.js sends statements without waiting for the answers to those before. */
async function pipeline(c: Connection): Promise<void> {
  const sql = postgres({
    host: "127.0.0.1",
    port: c.port,
    user: "me",
    password: c.token,
    database: "shop",
    max: 1,
    fetch_types: false,
    connect_timeout: 15,
    onnotice: () => {},
  });
  try {
    while (!c.stopping) {
      const batch = Array.from({ length: 8 }, () => {
        const id = mark();
        const unit = c.unit([id], id);
        return c.answer([id], sql`insert into t values (${id})`, unit);
      });
      // Statements behind one that was lost are lost too; the driver may take its time to say so, or never say it.
      for (const one of batch) one.catch(() => {});
      await Promise.all(batch);
    }
  } finally {
    await Promise.race([sql.end({ timeout: c.stopping ? 1 : 0 }), sleep(2_000)]);
  }
}
