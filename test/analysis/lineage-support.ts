/** Trees of a real server for tests, and what the analysis makes of them. */
import { readFileSync } from "node:fs";
import pg from "pg";
import { TestRunner } from "vitest";
import { type MaskOptions, type MaskOutcome, planMasks } from "../../src/analysis/plan.ts";
import {
  type LabelMatcher,
  type LabelUse,
  type ProtectedSet,
  resolveProtected,
} from "../../src/analysis/protected.ts";
import { readTouched, type WrapperKind } from "../../src/analysis/touched.ts";
import { type CatalogSnapshot, loadCatalog } from "../../src/catalog/index.ts";
import type { Attribute, Mask, Touched } from "../../src/facts/effects.ts";
import { parse } from "../catalog/support.ts";

export const lineageSchema = readFileSync(new URL("../corpus/lineage_schema.sql", import.meta.url), "utf8");

export interface LineageCase {
  readonly id: string;
  readonly sql: string;
  readonly derives: readonly number[];
  readonly note?: string;
}
export const lineageCases: readonly LineageCase[] = readFileSync(
  new URL("../corpus/lineage.jsonl", import.meta.url),
  "utf8",
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as LineageCase);

/** A column as RowDescription names it. */
export interface WireColumn {
  readonly name: string;
  readonly table: number;
  readonly column: number;
  readonly type: number;
}

export interface Analysed {
  readonly error: string | null;
  readonly trees: readonly string[];
  /** null: no rows. */
  readonly columns: readonly WireColumn[] | null;
}

export interface Analyst {
  readonly catalog: CatalogSnapshot;
  /** Parses a statement without running it; the trees that the server printed. */
  analyse(sql: string): Promise<Analysed>;
  /** What the statement touches; throws when the server refuses it. */
  touched(sql: string, kind?: WrapperKind): Promise<Touched>;
  plan(sql: string, set: ProtectedSet, options?: Partial<MaskOptions>): Promise<MaskOutcome>;
  /** "schema.relation.column" of an attribute. */
  name(at: Attribute): string;
  readonly client: pg.Client;
  reload(): Promise<void>;
  end(): Promise<void>;
}

interface WireField {
  name: string;
  tableID: number;
  columnID: number;
  dataTypeID: number;
}

/** The part of the driver's connection that a query object may use. */
interface Wire {
  parse(query: { text: string; name: string; types: number[] }): void;
  describe(message: { type: "S" | "P"; name: string }): void;
  sync(): void;
}

export async function analyst(url: string): Promise<Analyst> {
  const client = new pg.Client(url);
  await client.connect();
  const printed: string[] = [];
  client.on("notice", (notice) => {
    if (notice.message === "rewritten parse tree:") printed.push(notice.detail ?? "");
  });
  const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;
  const query = async (text: string): Promise<(string | null)[][]> =>
    (await client.query<(string | null)[]>({ text, rowMode: "array", types })).rows;
  let catalog = await loadCatalog(query, 1, { parse });
  await client.query("set client_min_messages = log; set debug_pretty_print = off");

  async function analyse(sql: string): Promise<Analysed> {
    await client.query("set debug_print_rewritten = on");
    printed.length = 0;
    const answer = await new Promise<Analysed>((resolve) => {
      let columns: WireColumn[] | null = null;
      const done = (error: string | null): void => resolve({ error, trees: [...printed], columns });
      const submittable = {
        submit(wire: Wire) {
          wire.parse({ text: sql, name: "", types: [] });
          wire.describe({ type: "S", name: "" });
          wire.sync();
        },
        handleRowDescription(message: { fields: WireField[] }) {
          columns = message.fields.map((field) => ({
            name: field.name,
            table: field.tableID,
            column: field.columnID,
            type: field.dataTypeID,
          }));
        },
        handleError: (error: Error) => done(error.message),
        handleReadyForQuery: () => done(null),
        handleCommandComplete() {},
        handleDataRow() {},
        handleEmptyQuery() {},
        handlePortalSuspended() {},
      };
      client.query(submittable as unknown as pg.Submittable);
    });
    await client.query("set debug_print_rewritten = off");
    return answer;
  }

  async function touched(sql: string, kind: WrapperKind = "statement"): Promise<Touched> {
    const { error, trees } = await analyse(sql);
    if (error !== null) {
      // What a later major brought (scripts/matrix.ts runs this on earlier ones).
      if (catalog.serverVersion < 180_000 && /^syntax error|"old"$/.test(error))
        TestRunner.getCurrentTest()?.context.skip(`not in PostgreSQL ${catalog.serverVersion}`);
      throw new Error(`${error}: ${sql}`);
    }
    return readTouched(trees, catalog, { kind });
  }

  return {
    get catalog() {
      return catalog;
    },
    client,
    analyse,
    touched,
    async plan(sql, set, options = {}) {
      return planMasks(await touched(sql), set, { unmask: [], explain: false, ...options });
    },
    name({ relation, attribute }) {
      const at = catalog.relation(relation);
      const column = attribute === 0 ? "*" : catalog.column(relation, attribute)?.name;
      return `${at?.schema}.${at?.name}.${column}`;
    },
    async reload() {
      await client.query("reset client_min_messages");
      catalog = await loadCatalog(query, catalog.epoch + 1, { parse });
      await client.query("set client_min_messages = log");
    },
    end: () => client.end(),
  };
}

export interface LabelSettings {
  readonly mask?: Mask;
  readonly access?: "masked" | "none";
  readonly use?: LabelUse;
}

/** A label on columns written "schema.relation.column", `*` for any. */
export function label(name: string, columns: string, settings: LabelSettings = {}): LabelMatcher {
  const patterns = columns.split(" ").map((column) => column.split("."));
  return {
    label: name,
    mask: settings.mask ?? { kind: "partial" },
    access: settings.access ?? "masked",
    use: settings.use ?? "output",
    matches: (schema, relation, column) =>
      patterns.some((pattern) =>
        [schema, relation, column].every((part, i) => pattern[i] === "*" || pattern[i] === part),
      ),
  };
}

/** What lineage_schema.sql says is protected. */
export const lineageProtected =
  "public.users.email public.users.ssn hr.emp.salary public.prof.doc public.prof.home public.part.email public.parent.email";

export function protectLineage(catalog: CatalogSnapshot, settings: LabelSettings = {}): ProtectedSet {
  return resolveProtected(catalog, [label("pii", lineageProtected, settings)], "shop");
}

/** "position schema.relation.column", sorted. */
export function usesOf(touched: Touched, by: Analyst): string[] {
  return touched.uses.map((use) => `${use.position} ${by.name(use)}`).sort();
}

/** For each output "name <- sources", `=` for a plain one. */
export function outputsOf(touched: Touched, by: Analyst): string[] {
  return (touched.outputs ?? []).map((output) =>
    `${output.name} ${output.plain ? "=" : "<-"} ${output.sources.map((source) => by.name(source)).join(" ")}`.trim(),
  );
}

export function assignmentsOf(touched: Touched, by: Analyst): string[] {
  return touched.assignments.map(({ target, name, sources }) =>
    `${target === null ? name : by.name(target)} <- ${sources.map((source) => by.name(source)).join(" ")}`.trim(),
  );
}
