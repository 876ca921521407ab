/** Statements become spans of the agent's trace. */
import { context, trace } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Spans, startSpans } from "../../src/cli/lib/spans.ts";
import { call, type McpHouse, startHouse } from "../mcp/support.ts";

const exporter = new InMemorySpanExporter();
const logger = pino({ level: "silent" });
let house: McpHouse;
let spans: Spans | null = null;
beforeAll(async () => {
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
  );
  house = await startHouse({
    policy: `
version: 1
rules:
  - { name: reads, when: 'statement.effects == ["read"]', then: allow }
`,
  });
  spans = await startSpans(house.postern.audit, true, "test", logger);
});
afterAll(async () => {
  spans?.close();
  await house?.stop();
  trace.disable();
  context.disable();
});

async function spanOf(name: string) {
  await house.postern.audit.settle();
  await expect.poll(() => exporter.getFinishedSpans().some((span) => span.name === name)).toBe(true);
  return exporter.getFinishedSpans().findLast((span) => span.name === name);
}

describe("a statement", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const spanId = "b7ad6b7169203331";

  it("is a span below the agent's", async () => {
    const client = await house.connect("modern");
    await call(
      client,
      "query",
      { database: "shop", sql: "select 1 where 'a' = 'a'" },
      { traceparent: `00-${traceId}-${spanId}-01` },
    );
    const span = await spanOf("SELECT shop");
    expect(span?.spanContext().traceId).toBe(traceId);
    expect(span?.parentSpanContext?.spanId).toBe(spanId);
    expect(span?.attributes).toMatchObject({
      "db.system.name": "postgresql",
      "db.namespace": "shop",
      "db.query.text": expect.not.stringContaining("'a'"),
      "db.response.returned_rows": 1,
      "postern.verdict": "allow",
      "postern.rule": "reads",
      "postern.via": "mcp",
      "postern.status": "ok",
    });
    expect(span?.status.code).toBe(0);
  });

  it("that is denied is an error, and begins a trace where the agent named none that is one", async () => {
    const client = await house.connect("modern");
    await call(
      client,
      "query",
      { database: "shop", sql: "create table x()" },
      { traceparent: `00-${"0".repeat(32)}-${spanId}-01` },
    );
    const span = await spanOf("CREATE TABLE shop");
    expect(span?.parentSpanContext).toBeUndefined();
    expect(span?.attributes).toMatchObject({ "postern.verdict": "deny", "postern.code": "NO_RULE" });
    expect(span?.status.code).toBe(2);
  });
});

describe("tracing", () => {
  it("is off unless it is asked for, and does without the package", async () => {
    expect(await startSpans(house.postern.audit, false, "test", logger)).toBeNull();
    const missing = () => Promise.reject(new Error("ERR_MODULE_NOT_FOUND"));
    expect(await startSpans(house.postern.audit, true, "test", logger, missing)).toBeNull();
  });
});
