/** What an agent says of itself: recorded as claimed, never trusted. */
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  type ServerContext,
  TRACEPARENT_META_KEY,
} from "@modelcontextprotocol/server";
import type { Claimed } from "../facts/session.ts";
import type { Caller } from "./deps.ts";

/** The tasks extension's name (SEP-2663). */
export const tasksExtension = "io.modelcontextprotocol/tasks";

/** Keys of `_meta` by which an agent says more (docs/agents.md). */
const metaKeys = {
  agent: "postern/agent",
  model: "postern/model",
  run: "postern/run",
  intent: "postern/intent",
} as const;

const longest = {
  agent: 128,
  model: 128,
  run: 128,
  intent: 2048,
  traceparent: 256,
  unmask: 512,
} as const satisfies Record<keyof Claimed, number>;

export interface Provenance {
  readonly claimed: Claimed;
  /** For `application_name`. */
  readonly application: string | null;
  /** The client can send its user to a web page (elicitation by URL). */
  readonly opensUrls: boolean;
  /** The client can be given a task in the place of a result (tasks extension); it says so with every request. */
  readonly followsTasks: boolean;
}

/**
 * @param intent the tool's own argument for it.
 * Values that are too long are cut, control characters become spaces.
 */
export function provenanceOf(context: ServerContext, caller: Caller, intent: string | undefined): Provenance {
  const meta: Readonly<Record<string, unknown>> = { ...context.mcpReq._meta };
  const envelope: Readonly<Record<string, unknown>> = { ...context.mcpReq.envelope };
  const client = record(envelope[CLIENT_INFO_META_KEY] ?? meta[CLIENT_INFO_META_KEY]);
  const name = line(client.name, 64);
  const named =
    name === null ? null : [name, line(client.version, 32)].filter((part) => part !== null).join("/");
  const claimed: { -readonly [K in keyof Claimed]: Claimed[K] } = {};
  const put = (field: keyof Claimed, value: unknown): void => {
    const text = line(value, longest[field]);
    if (text !== null) claimed[field] = text;
  };
  put("agent", meta[metaKeys.agent] ?? named ?? caller.userAgent);
  put("model", meta[metaKeys.model]);
  put("run", meta[metaKeys.run]);
  put("intent", intent ?? meta[metaKeys.intent]);
  put("traceparent", meta[TRACEPARENT_META_KEY] ?? caller.traceparent);
  const capabilities = record(envelope[CLIENT_CAPABILITIES_META_KEY]);
  const elicitation = record(capabilities.elicitation);
  return {
    claimed,
    application: named ?? line(caller.userAgent, 63),
    opensUrls: isObject(elicitation.url),
    followsTasks: isObject(record(capabilities.extensions)[tasksExtension]),
  };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** One line of at most `bytes` bytes; null: no text, or an empty one. */
function line(value: unknown, bytes: number): string | null {
  if (typeof value !== "string") return null;
  let text = value
    .slice(0, bytes)
    .replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ")
    .toWellFormed()
    .trim();
  while (Buffer.byteLength(text) > bytes) text = text.slice(0, -1).toWellFormed();
  return text === "" ? null : text;
}
