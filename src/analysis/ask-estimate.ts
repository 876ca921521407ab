/**
 * Asking the planner how much a statement would read: EXPLAIN without ANALYZE (PostgreSQL manual, "EXPLAIN"). Planning may run
 * IMMUTABLE and STABLE functions of the statement: ask only once its functions are known to be safe.
 */
import {
  decodeDataRow,
  decodeErrorFields,
  decodeReadyForQuery,
  encodeClose,
  ProtocolError,
  sync,
} from "../protocol/index.ts";
import { type Ask, analysisSettings, bindExecute, parse, runSettings } from "./ask.ts";

export interface EstimateAsk extends Ask {
  /** Types of its parameters as the analysis found them; [] when it has none. */
  readonly parameterTypes: readonly number[];
}

export type EstimateResult =
  | {
      readonly ok: true;
      /** Rows that come back, or that are changed, by the planner's guess. */
      readonly rows: number;
      /** The planner's total cost, in its own units. */
      readonly cost: number;
    }
  | { readonly ok: false; readonly sqlstate: string; readonly message: string; readonly broken: boolean };

const prepared = "postern_estimate";

/**
 * The question as bytes, for a connection of its own outside a transaction. Parameters count as unknown: a generic plan.
 * The text must be one statement that EXPLAIN takes: SELECT, INSERT, UPDATE, DELETE, MERGE, VALUES.
 * Throws ProtocolError when the text or a setting holds a NUL.
 */
export function encodeEstimate(ask: EstimateAsk): Buffer {
  const types = [...ask.parameterTypes];
  const settings = [
    ...(ask.searchPath === null ? [] : [["search_path", ask.searchPath] as const]),
    ...(ask.settings ?? []),
    ...analysisSettings(ask),
    ["client_min_messages", "error"] as const,
  ];
  if (types.length === 0)
    return Buffer.concat([
      ...runSettings("", "", settings),
      ...explain(`EXPLAIN (ANALYZE FALSE, FORMAT JSON) ${ask.text}`),
      sync,
    ]);
  // Values in Bind would be planned for, NULL above all, and EXPLAIN (GENERIC_PLAN) takes no types for parameters and is not
  // known before PostgreSQL 16. A prepared statement's generic plan has neither fault.
  const nulls = types.map(() => "NULL").join(", ");
  return Buffer.concat([
    encodeClose("statement", prepared),
    ...runSettings("", "", [...settings, ["plan_cache_mode", "force_generic_plan"]]),
    parse(prepared, ask.text, types),
    ...explain(`EXPLAIN (ANALYZE FALSE, FORMAT JSON) EXECUTE ${prepared}(${nulls})`),
    encodeClose("statement", prepared),
    sync,
  ]);
}

function explain(text: string): Buffer[] {
  return [parse("", text, []), ...bindExecute("", "", [])];
}

/** Reads the answer; the same use as AskReader. */
export class EstimateReader {
  /** null until push() or end() gave true. */
  result: EstimateResult | null = null;
  readonly #maxBytes: number;
  readonly #rows: Buffer[] = [];
  #bytes = 0;
  #commands = 0;
  #failure: { sqlstate: string; message: string } | null = null;

  /** @param maxBytes bytes that a plan may have, default 1 MiB. */
  constructor(maxBytes = 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** Takes one message; true: the answer is complete. Never throws. */
  push(type: number, body: Buffer): boolean {
    try {
      return this.#take(String.fromCharCode(type), body);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return this.#fail("08P01", "the server's answer cannot be read");
    }
  }

  /** The connection ended. */
  end(): true {
    return this.result === null ? this.#fail("08006", "the connection was lost") : true;
  }

  #take(type: string, body: Buffer): boolean {
    switch (type) {
      case "D":
        if (this.#commands > 0) this.#keep(body);
        return false;
      case "C":
        this.#commands++;
        return false;
      case "E": {
        const fields = decodeErrorFields(body);
        this.#failure ??= { sqlstate: fields.get("C") ?? "XX000", message: fields.get("M") ?? "" };
        const fatal = ["FATAL", "PANIC"].includes(fields.get("V") ?? "");
        return fatal ? this.#fail(this.#failure.sqlstate, this.#failure.message) : false;
      }
      case "Z":
        decodeReadyForQuery(body);
        this.result =
          this.#failure === null ? readPlan(this.#rows) : { ok: false, ...this.#failure, broken: false };
        return true;
      case "1":
      case "2":
      case "3":
      case "N":
      case "S":
      case "A":
      case "n":
      case "T":
      case "t":
        return false;
      default:
        return this.#fail("08P01", "the server's answer is out of order");
    }
  }

  #keep(body: Buffer): void {
    this.#bytes += body.length;
    if (this.#bytes > this.#maxBytes) {
      this.#rows.length = 0;
      this.#failure ??= { sqlstate: "54000", message: "the statement's plan is too large" };
      return;
    }
    const [value] = decodeDataRow(body).values;
    if (value !== undefined && value !== null) this.#rows.push(Buffer.from(value));
  }

  #fail(sqlstate: string, message: string): true {
    this.result = { ok: false, sqlstate, message, broken: true };
    return true;
  }
}

function readPlan(rows: readonly Buffer[]): EstimateResult {
  const unreadable: EstimateResult = {
    ok: false,
    sqlstate: "XX000",
    message: "the server's plan cannot be read",
    broken: false,
  };
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.concat(rows).toString("utf8"));
  } catch {
    return unreadable;
  }
  const plans = (Array.isArray(parsed) ? parsed : []).map((entry) => member(entry, "Plan"));
  if (plans.length === 0) return unreadable;
  let total = 0;
  let cost = 0;
  // Rules may have made several statements of one.
  for (const plan of plans) {
    // INSTEAD NOTHING and the like have no plan.
    if (plan === undefined) continue;
    const rowsOf = changedRows(plan);
    const costOf = member(plan, "Total Cost");
    if (rowsOf === null || typeof costOf !== "number") return unreadable;
    total += rowsOf;
    cost += costOf;
  }
  return { ok: true, rows: total, cost };
}

/** A node that changes rows gives none back, unless RETURNING: what counts is what it is fed. */
function changedRows(plan: unknown): number | null {
  const own = member(plan, "Plan Rows");
  if (typeof own !== "number") return null;
  const inner = member(plan, "Plans");
  const below = Array.isArray(inner) ? inner : [];
  // Data-modifying WITH parts hang below as InitPlans, wherever they are used.
  const written = below.filter((child) => member(child, "Node Type") === "ModifyTable");
  const fed =
    member(plan, "Node Type") === "ModifyTable"
      ? below.filter((c) => member(c, "Parent Relationship") === "Outer")
      : [];
  let rows = own;
  for (const child of [...written, ...fed]) rows = Math.max(rows, changedRows(child) ?? 0);
  return rows;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
