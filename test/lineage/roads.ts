/** The roads by which the rows of one query may reach a client: drivers, formats, and SQL that carries a query. */
import pg from "pg";
import postgres from "postgres";
import { bind, describe_, execute, parse, query as queryMessage, sync } from "../e2e/messages.ts";
import { type RawMessage, rawLogin } from "../support/raw.ts";
import type { LineageLab } from "./support.ts";

/** `rows` as text, null where the road tells none; `error` when any of its messages was one. */
export interface Travelled {
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly rows: readonly (readonly (string | null)[])[] | null;
}

export interface Road {
  readonly name: string;
  /** What it needs of the query: that it may stand in parentheses, or that it reads only. */
  readonly only?: "select";
  travel(on: Travel, sql: string): Promise<Travelled>;
}

export interface Travel {
  readonly pg: pg.Client;
  readonly js: postgres.Sql;
  readonly raw: Awaited<ReturnType<typeof rawLogin>>;
  end(): Promise<void>;
}

const asText = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

/** One session of each driver, through the recorder. */
export async function travel(lab: LineageLab): Promise<Travel> {
  const token = await lab.postern.token();
  const address = { host: lab.recorder.host, port: lab.recorder.port };
  const client = new pg.Client({
    ...address,
    user: "agent",
    database: "lineage",
    password: token,
    types: asText,
  });
  client.on("error", () => undefined);
  await client.connect();
  const js = postgres({
    ...address,
    user: "agent",
    database: "lineage",
    password: token,
    max: 1,
    onnotice: () => undefined,
    fetch_types: false,
  });
  const raw = await rawLogin(address, token, { database: "lineage" });
  return {
    pg: client,
    js,
    raw,
    async end() {
      await Promise.allSettled([client.end(), js.end({ timeout: 1 }), raw.end()]);
    },
  };
}

function failure(error: unknown): Travelled {
  const { code, message } = error as { code?: string; message: string };
  return { error: { code: code ?? "?", message }, rows: null };
}

/** Runs `steps` in a transaction that is undone. */
async function undone(client: pg.Client, steps: () => Promise<Travelled>): Promise<Travelled> {
  await client.query("begin");
  try {
    return await steps();
  } catch (error) {
    return failure(error);
  } finally {
    await client.query("rollback");
  }
}

type Rows = (string | null)[][];
const rowsOf = async (client: pg.Client, config: object): Promise<Rows> =>
  (
    await client.query<(string | null)[]>({
      rowMode: "array",
      types: asText,
      ...config,
    } as pg.QueryArrayConfig)
  ).rows;

let names = 0;

function readRaw(messages: readonly RawMessage[]): Travelled {
  const error = messages.find((one) => one.type === "E");
  if (error === undefined) return { error: null, rows: null };
  const fields = error.body.toString("utf8").split("\0");
  const of = (letter: string): string => fields.find((field) => field.startsWith(letter))?.slice(1) ?? "";
  return { error: { code: of("C"), message: of("M") }, rows: null };
}

async function sendRaw(on: Travel, ...buffers: Buffer[]): Promise<Travelled> {
  const { raw } = on;
  raw.send(queryMessage("begin"));
  await raw.ready();
  raw.send(...buffers);
  const messages = await raw.ready();
  // A Sync behind COPY or an error may answer once more.
  raw.send(queryMessage("rollback"));
  await raw.ready();
  return readRaw(messages);
}

/** Runs several statements of SQL in one transaction, the last one with rows. */
const statements =
  (...texts: ((sql: string) => string)[]) =>
  (on: Travel, sql: string): Promise<Travelled> =>
    undone(on.pg, async () => {
      for (const text of texts) await on.pg.query(text(sql));
      return { error: null, rows: null };
    });

/** The roads on which rows come back as text, to be compared with what the server says directly. */
export const clearRoads: readonly Road[] = [
  {
    name: "node-postgres, simple",
    travel: (on, sql) =>
      undone(on.pg, async () => ({ error: null, rows: await rowsOf(on.pg, { text: sql }) })),
  },
  {
    name: "node-postgres, named, twice",
    travel: (on, sql) =>
      undone(on.pg, async () => {
        const config = { text: sql, name: `n${++names}` };
        await rowsOf(on.pg, config);
        return { error: null, rows: await rowsOf(on.pg, config) };
      }),
  },
];

export const roads: readonly Road[] = [
  ...clearRoads,
  {
    name: "node-postgres, binary",
    travel: (on, sql) =>
      undone(on.pg, async () => {
        await rowsOf(on.pg, { text: sql, binary: true, queryMode: "extended", types: undefined });
        return { error: null, rows: null };
      }),
  },
  {
    name: "postgres.js, prepared, twice",
    travel: async (on, sql) => {
      const result: Travelled[] = [];
      await on.js
        .begin(async (tx) => {
          try {
            await tx.unsafe(sql, [], { prepare: true });
            await tx.unsafe(sql, [], { prepare: true });
            result.push({ error: null, rows: null });
          } catch (error) {
            result.push(failure(error));
          }
          throw new Error("undo");
        })
        .catch(() => undefined);
      return result[0] ?? { error: { code: "?", message: "no answer" }, rows: null };
    },
  },
  {
    name: "postgres.js, simple",
    travel: async (on, sql) => {
      const result: Travelled[] = [];
      await on.js
        .begin(async (tx) => {
          await tx
            .unsafe(sql)
            .simple()
            .then(
              () => result.push({ error: null, rows: null }),
              (error) => result.push(failure(error)),
            );
          throw new Error("undo");
        })
        .catch(() => undefined);
      return result[0] ?? { error: { code: "?", message: "no answer" }, rows: null };
    },
  },
  {
    name: "raw, never described, text then binary, twice",
    travel: (on, sql) => {
      const name = `r${++names}`;
      return sendRaw(
        on,
        parse(name, sql),
        bind("", name),
        execute(""),
        bind("", name, [], [1]),
        execute(""),
        bind("", name),
        execute("", 1),
        sync,
      );
    },
  },
  {
    name: "raw, described before and after, in pieces",
    travel: (on, sql) => {
      const name = `r${++names}`;
      return sendRaw(
        on,
        parse(name, sql),
        describe_("statement", name),
        bind("p", name, [], [1]),
        describe_("portal", "p"),
        execute("p", 2),
        execute("p", 2),
        execute("p"),
        sync,
      );
    },
  },
  { name: "COPY", only: "select", travel: (on, sql) => sendRaw(on, queryMessage(`copy (${sql}) to stdout`)) },
  {
    name: "COPY, CSV",
    only: "select",
    travel: (on, sql) =>
      sendRaw(
        on,
        queryMessage(`copy (${sql}) to stdout with (format csv, header, delimiter '|', force_quote *)`),
      ),
  },
  {
    name: "COPY, binary",
    only: "select",
    travel: (on, sql) => sendRaw(on, queryMessage(`copy (${sql}) to stdout with (format binary)`)),
  },
  {
    name: "cursor",
    only: "select",
    travel: statements(
      (sql) => `declare c scroll cursor for ${sql}`,
      () => "fetch 2 from c",
      () => "move backward 1 in c",
      () => "fetch all from c",
    ),
  },
  {
    name: "binary cursor",
    only: "select",
    travel: statements(
      (sql) => `declare c binary cursor for ${sql}`,
      () => "fetch all from c",
    ),
  },
  {
    name: "PREPARE",
    travel: async (on, sql) => {
      const name = `s${++names}`;
      return statements(
        () => `prepare ${name} as ${sql}`,
        () => `execute ${name}`,
        () => `explain (analyze, verbose, costs off) execute ${name}`,
      )(on, sql);
    },
  },
  {
    name: "EXPLAIN",
    travel: statements((sql) => `explain (verbose) ${sql}`),
  },
  {
    name: "EXPLAIN ANALYZE",
    travel: statements((sql) => `explain (analyze, verbose, format json) ${sql}`),
  },
  {
    name: "an error that quotes",
    only: "select",
    travel: (on, sql) =>
      undone(on.pg, async () => {
        await on.pg.query(`select q::text::json, q::text::point, (q::text)::int from (${sql}) q`);
        return { error: null, rows: null };
      }),
  },
  {
    name: "CREATE TABLE AS",
    only: "select",
    travel: (on, sql) => {
      const name = `t${++names}`;
      return statements(
        () => `create temp table ${name} as select q::text as x from (${sql}) q`,
        () => `select * from ${name}`,
      )(on, sql);
    },
  },
];
