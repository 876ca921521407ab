/** What an export is made of: one leaf, with the statement it belongs to where it is an outcome. */
import { type Json, list, text } from "../read/leaves.ts";

export interface ExportRecord {
  /** The log's origin, `<cluster>/<node>/<worker>`. */
  readonly log: string;
  readonly index: number;
  /** RFC 6962 leaf hash, lower-case hex. */
  readonly hash: string;
  /** The leaf exactly as it is stored. */
  readonly stored: string;
  /** The record, blobs put back. */
  readonly leaf: Json;
  /** The intent of an outcome; null: another record, or an intent that is too far back. */
  readonly intent: Json | null;
}

export const formats = ["jsonl", "ocsf", "ecs", "cef", "otlp"] as const;
export type ExportFormat = (typeof formats)[number];

/** What all formats say of themselves. */
export interface Product {
  readonly version: string;
}

/** The record that has the facts of who and where: the intent of an outcome, else the record itself. */
export function about(record: ExportRecord): Json {
  return record.intent ?? record.leaf;
}

/** The relation of a statement that touches exactly one; null where there are more, none, or it was not analysed. */
export function onlyRelation(leaf: Json): string | null {
  const all = new Set([...(list(leaf, "statement.reads") ?? []), ...(list(leaf, "statement.writes") ?? [])]);
  const [first] = all;
  return all.size === 1 && first !== undefined ? first : null;
}

export type Ending = "allowed" | "denied" | "held" | "ok" | "failed" | "cut" | "unknown" | "note";

/** What became of what the record is about, as far as the record itself knows. */
export function ending({ leaf }: ExportRecord): Ending {
  switch (text(leaf, "type")) {
    case "statement.intent": {
      const verdict = text(leaf, "decision.verdict");
      return verdict === "deny" ? "denied" : verdict === "approve" ? "held" : "allowed";
    }
    case "statement.outcome":
      switch (text(leaf, "status")) {
        case "ok":
          return "ok";
        case "error":
          return "failed";
        case "denied":
          return "denied";
        case "cancelled":
        case "cut":
          return "cut";
        default:
          return "unknown";
      }
    case "auth.failed":
      return "denied";
    case "transaction.rolled_back":
      return "failed";
    case "transaction.unknown":
      return "unknown";
    case "session.start":
      return "ok";
    default:
      return "note";
  }
}

/** A value without the members that say nothing: null, undefined, empty objects and lists. */
export function compact(value: unknown): unknown {
  if (Array.isArray(value)) {
    const members = value.map(compact).filter((m) => m !== undefined);
    return members.length === 0 ? undefined : members;
  }
  if (value === null || value === undefined) return undefined;
  if (typeof value !== "object") return value;
  const members = Object.entries(value)
    .map(([name, member]) => [name, compact(member)] as const)
    .filter(([, member]) => member !== undefined);
  return members.length === 0 ? undefined : Object.fromEntries(members);
}

/** Text at most `limit` characters long; what was cut off is said. */
export function shortened(value: string, limit: number): string {
  if (value.length <= limit) return value;
  const rest = `… (${value.length} characters)`;
  return `${value.slice(0, limit - rest.length)}${rest}`;
}

/** The trace and span ids of a claimed traceparent (W3C Trace Context, section 3.2); null when it is none. */
export function traceOf(leaf: Json): { readonly trace: string; readonly span: string } | null {
  const found = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(
    text(leaf, "claimed.traceparent") ?? "",
  );
  return found === null ? null : { trace: found[1] ?? "", span: found[2] ?? "" };
}
