/**
 * OpenTelemetry spans of statements, as children of the agent's own span where it said which (`traceparent`, W3C Trace Context). They are
 * made from the audit log's records, beside the data path. The API package is an optional peer: whoever runs the gateway brings it, and an
 * SDK that exports (docs/agents.md).
 */
import type { Span, SpanContext, Tracer } from "@opentelemetry/api";
import type pino from "pino";
import type { AuditLog } from "../../audit/index.ts";
import { leavesIn } from "../../audit/subscribe.ts";

type Api = typeof import("@opentelemetry/api");
type Leaf = Readonly<Record<string, unknown>>;

/** Statements that wait for their outcome; older ones are forgotten. */
const maxOpen = 10_000;

export interface Spans {
  close(): void;
}

/** null: it is not wanted, or the package is not there, which the log says. */
export async function startSpans(
  audit: AuditLog,
  wanted: boolean,
  version: string,
  logger: pino.Logger,
  load: () => Promise<Api> = () => import("@opentelemetry/api"),
): Promise<Spans | null> {
  if (!wanted) return null;
  let api: Api;
  try {
    api = await load();
  } catch {
    logger.warn("tracing: the package @opentelemetry/api is not installed; there will be no spans");
    return null;
  }
  const tracer = api.trace.getTracer("postern", version);
  const open = new Map<number, Leaf>();
  const stop = audit.subscribe(({ batches }) => {
    for (const { bytes, first } of batches) {
      let index = first;
      for (const line of leavesIn(bytes)) {
        take(index, line);
        index++;
      }
    }
  });

  function take(index: number, line: Buffer): void {
    // Most leaves are of these two types; others are not read at all.
    if (line.includes('"type":"statement.intent"')) {
      open.set(index, JSON.parse(line.toString()) as Leaf);
      if (open.size > maxOpen) {
        const [oldest] = open.keys();
        if (oldest !== undefined) open.delete(oldest);
      }
    } else if (line.includes('"type":"statement.outcome"')) {
      const outcome = JSON.parse(line.toString()) as Leaf;
      const at = member(outcome, "intent").index;
      const intent = typeof at === "number" ? open.get(at) : undefined;
      if (intent === undefined || typeof at !== "number") return;
      open.delete(at);
      spanOf(api, tracer, intent, outcome);
    }
  }

  return {
    close() {
      stop();
      open.clear();
    },
  };
}

function spanOf(api: Api, tracer: Tracer, intent: Leaf, outcome: Leaf): void {
  const statement = member(intent, "statement");
  const decision = member(intent, "decision");
  const result = member(outcome, "result");
  const database = text(member(intent, "database").name) ?? "";
  const command = text(statement.command) ?? "statement";
  const parent = contextOf(text(member(intent, "claimed").traceparent));
  const started = Date.parse(text(intent.time) ?? "");
  const span = tracer.startSpan(
    `${command} ${database}`,
    { kind: api.SpanKind.SERVER, startTime: started, ...(parent === null ? { root: true } : {}) },
    parent === null ? api.ROOT_CONTEXT : api.trace.setSpanContext(api.ROOT_CONTEXT, parent),
  );
  // Semantic conventions for databases.
  set(span, "db.system.name", "postgresql");
  set(span, "db.namespace", database);
  set(span, "db.operation.name", command);
  set(span, "db.query.text", text(statement.sql));
  set(span, "db.response.returned_rows", result.rows);
  set(span, "db.response.status_code", text(outcome.sqlstate));
  set(span, "postern.request", text(intent.request));
  set(span, "postern.verdict", text(decision.verdict));
  set(span, "postern.rule", text(decision.rule));
  set(span, "postern.code", text(decision.code));
  set(span, "postern.policy", text(decision.policy));
  set(span, "postern.via", text(member(intent, "client").via));
  set(span, "postern.approval", text(member(intent, "approval").id));
  if (Array.isArray(decision.masked) && decision.masked.length > 0)
    span.setAttribute("postern.masked", decision.masked.map(String));
  const status = text(outcome.status) ?? "unknown";
  set(span, "postern.status", status);
  if (status !== "ok") span.setStatus({ code: api.SpanStatusCode.ERROR, message: status });
  const micros = outcome.duration_us;
  span.end(started + (typeof micros === "number" ? micros / 1000 : 0));
}

function set(span: Span, key: string, value: unknown): void {
  if (typeof value === "string" ? value !== "" : typeof value === "number")
    span.setAttribute(key, value as string);
}

/** W3C Trace Context, version 00. null: it is not of that form. */
function contextOf(traceparent: string | null): SpanContext | null {
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

function member(leaf: Leaf, name: string): Leaf {
  const value = leaf[name];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
