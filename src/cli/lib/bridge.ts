/**
 * MCP's stdio transport on one side, its Streamable HTTP transport on the other (MCP 2026-07-28 and 2025-11-25, "Transports"). The
 * bridge understands no message beyond what the headers need: what is new in the protocol passes through it.
 */
import { Readable } from "node:stream";
import { CliError } from "../account/error.ts";
import { linesOf } from "./lines.ts";
import { send } from "./send.ts";

/** Where requests go, and with what. */
export interface Access {
  readonly endpoint: URL;
  readonly token: string;
  /** PEM file with the authorities of the gateway's certificate; null: the system's. */
  readonly ca: string | null;
}

export interface BridgeOptions {
  /**
   * Asked before each request, and once more when the gateway refuses the token.
   *
   * @param again the token that it gave before was refused.
   * @throws CliError: what the person at this machine must do.
   */
  access(again: boolean): Promise<Access>;
  readonly input: Readable;
  /** Takes one message, without the end of its line. */
  write(line: string): void;
  /** For people; standard output belongs to the protocol. */
  warn(text: string): void;
  readonly send?: typeof send;
}

type Message = Readonly<Record<string, unknown>>;
type Id = string | number;

/** Longest line of a client: the gateway takes no more. */
const maxLine = 1024 * 1024;
/** Requests under way at a time. */
const maxOpen = 64;

const versionKey = "io.modelcontextprotocol/protocolVersion";

/** Resolves when the input has ended and everything was answered. Never rejects. */
export async function bridge(options: BridgeOptions): Promise<void> {
  const ask = options.send ?? send;
  const open = new Map<Id, AbortController>();
  const work = new Set<Promise<void>>();
  let negotiated: string | null = null;

  function answer(id: Id | null, code: number, message: string): void {
    options.write(JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } }));
  }

  async function post(line: string, message: Message, signal: AbortSignal): Promise<Response> {
    const once = async (again: boolean) => {
      const { endpoint, token, ca } = await options.access(again);
      const headers = { ...headersOf(message, negotiated), authorization: `Bearer ${token}` };
      return ask(endpoint, { method: "POST", headers, body: line, signal }, ca);
    };
    const first = await once(false);
    if (first.status !== 401) return first;
    await first.body?.cancel();
    return once(true);
  }

  async function handOn(line: string, message: Message, id: Id | null): Promise<void> {
    const stop = new AbortController();
    if (id !== null) open.set(id, stop);
    try {
      const response = await post(line, message, stop.signal);
      if (!isAnswer(response)) {
        await response.body?.cancel();
        const why = whyNot(response.status);
        options.warn(why);
        if (id !== null) answer(id, -32001, why);
        return;
      }
      let answered = id === null;
      for await (const text of messagesOf(response)) {
        const said = parse(text);
        // What is no message of the protocol is a proxy's, or an error of HTTP: its reader would wait on.
        if (said?.jsonrpc !== "2.0") continue;
        if (message.method === "initialize") negotiated = versionOf(said) ?? negotiated;
        // JSON-RPC 2.0 section 5: null where the server could not tell whose error it is. There is one request here.
        const nameless = !answered && said.id === null && said.error !== undefined;
        if (nameless || (said.id === id && said.method === undefined)) answered = true;
        options.write(nameless ? JSON.stringify({ ...said, id }) : text);
      }
      if (!answered && !stop.signal.aborted) {
        const why = response.ok ? "the gateway's answer ended without a result" : whyNot(response.status);
        options.warn(why);
        answer(id, -32001, why);
      }
    } catch (error) {
      if (stop.signal.aborted) return;
      const why = causeOf(error);
      options.warn(why);
      if (id !== null) answer(id, -32001, why);
    } finally {
      if (id !== null && open.get(id) === stop) open.delete(id);
    }
  }

  function take(line: string): void {
    if (line.trim() === "") return;
    const message = line.length > maxLine ? null : parse(line);
    if (message === null) {
      answer(null, -32700, "a line must hold one JSON-RPC message of at most 1 MiB");
      return;
    }
    const id = typeof message.id === "string" || typeof message.id === "number" ? message.id : null;
    const isRequest = id !== null && typeof message.method === "string";
    if (message.method === "notifications/cancelled") {
      // The gateway keeps no sessions: a request ends with its connection.
      const { requestId } = params(message);
      if (typeof requestId === "string" || typeof requestId === "number") open.get(requestId)?.abort();
      return;
    }
    if (isRequest && open.size >= maxOpen) {
      answer(id, -32000, "too many requests at a time");
      return;
    }
    const job = handOn(line, message, isRequest ? id : null);
    work.add(job);
    void job.finally(() => work.delete(job));
  }

  for await (const line of linesOf(options.input, maxLine)) take(line);
  await Promise.all(work);
}

function parse(line: string): Message | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function params({ params: value }: Message): Message {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Headers that repeat what the body says (2026-07-28), or the version that was agreed on (2025). */
function headersOf(message: Message, negotiated: string | null): Record<string, string> {
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const { _meta: meta, name, uri, taskId } = params(message);
  const claimed = typeof meta === "object" && meta !== null ? Reflect.get(meta, versionKey) : undefined;
  if (typeof claimed === "string" && isPlain(claimed)) {
    headers["mcp-protocol-version"] = claimed;
    if (typeof message.method === "string" && isPlain(message.method)) headers["mcp-method"] = message.method;
    const named = [name, uri, taskId].find((value) => typeof value === "string");
    if (named !== undefined)
      headers["mcp-name"] = isPlain(named) ? named : `=?base64?${Buffer.from(named).toString("base64")}?=`;
  } else if (negotiated !== null && message.method !== "initialize")
    headers["mcp-protocol-version"] = negotiated;
  return headers;
}

/** Fit for a header as it stands. */
function isPlain(value: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith("=?base64?");
}

/** The response holds messages of the protocol, errors of its own among them. */
function isAnswer(response: Response): boolean {
  if (response.status === 202 || response.ok) return true;
  if (response.status === 401 || response.status === 403 || response.status >= 500) return false;
  return response.headers.get("content-type")?.startsWith("application/json") === true;
}

function whyNot(status: number): string {
  switch (status) {
    case 401:
      return "the token was not accepted: get a fresh one (postern login, or whoever gave you the token)";
    case 403:
      return "the token may not be used here: a scope is missing, or the gateway refuses this client";
    case 404:
      return "there is no MCP endpoint at this address: is it the gateway's, and is mcp on there?";
    case 413:
      return "the request is too large for the gateway";
    case 429:
      return "too many failed logins from this address: wait a while, then get a fresh token";
    default:
      return `the gateway answered with HTTP ${status}`;
  }
}

function causeOf(error: unknown): string {
  if (error instanceof CliError)
    return error.hint === null ? error.message : `${error.message} (${error.hint})`;
  if (error instanceof Error && error.name === "TypeError") return "the gateway could not be reached";
  return `the request failed (${error instanceof Error ? error.name : "unknown"})`;
}

/** The messages of a response, one text each: JSON, or events of a stream. */
async function* messagesOf(response: Response): AsyncGenerator<string> {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) {
    const text = oneLine(await response.text());
    if (text !== null) yield text;
    return;
  }
  if (!type.startsWith("text/event-stream") || response.body === null) {
    await response.body?.cancel();
    return;
  }
  let data: string[] = [];
  for await (const line of linesOf(streamOf(response.body))) {
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
    else if (line === "" && data.length > 0) {
      const text = oneLine(data.join("\n"));
      data = [];
      if (text !== null) yield text;
    }
  }
}

function streamOf(body: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(body);
}

/** A message must not hold line breaks (stdio transport). */
function oneLine(text: string): string | null {
  if (text.trim() === "") return null;
  return text.includes("\n") ? JSON.stringify(JSON.parse(text)) : text;
}

function versionOf({ result }: Message): string | null {
  const version =
    typeof result === "object" && result !== null ? Reflect.get(result, "protocolVersion") : null;
  return typeof version === "string" && isPlain(version) ? version : null;
}
