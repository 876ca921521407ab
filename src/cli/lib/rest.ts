/** The REST API of a running gateway, for verbs that ask it. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type IncomingMessage, request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { UsageError } from "./args.ts";
import { type StoredLogin, storedLogin } from "./stored.ts";

export const restOptions = {
  config: { type: "string", short: "c" },
  url: { type: "string" },
  token: { type: "string" },
  ca: { type: "string" },
} as const;

export const restUsage = `      --url URL    the gateway's http address (or POSTERN_URL); default: that of your login, or of ./postern.yaml
      --token FILE the file of your token, - for stdin (or POSTERN_TOKEN); default: your login
      --ca FILE    PEM file with the authority of the gateway's certificate
  -c FILE          the postern.yaml that names the gateway
`;

/** The gateway refused. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly status: number;
  readonly code: string;
  /** The code of an approval, where there is one. */
  readonly reason: string | null;
  readonly hint: string | null;
  readonly login: string | null;
  constructor(status: number, body: Readonly<Record<string, unknown>>) {
    const text = (value: unknown) => (typeof value === "string" ? value : null);
    super(text(body.message) ?? `the gateway answered ${status}`);
    this.status = status;
    this.code = text(body.code) ?? "";
    this.reason = text(body.reason);
    this.hint = text(body.hint);
    this.login = text(body.login);
  }
}

/** The gateway could not be reached: exit code 3. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
}

export interface Rest {
  readonly url: string;
  /** The PEM file of the gateway's authority; null: the system's. */
  readonly ca: string | null;
  /** The same gateway, asked with another token. */
  as(token: string): Rest;
  /** Rejects with RestError or Unreachable. */
  get(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** Server-sent events until `signal`; ends when the gateway closes the stream. */
  events(signal: AbortSignal): AsyncGenerator<ServerEvent>;
}

const timeoutMs = 30_000;
const maxAnswer = 32 * 1024 * 1024;

interface Call {
  readonly method?: "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** Finds gateway and token. Throws UsageError and ConfigError. */
export async function openRest(
  values: { readonly config?: string; readonly url?: string; readonly token?: string; readonly ca?: string },
  usage: string,
): Promise<Rest> {
  const kept = await storedLogin();
  const url = await findUrl(values, kept, usage);
  const known = kept?.url === url ? kept : null;
  const token = await findToken(values.token, known, usage);
  const authority = values.ca ?? known?.ca ?? null;
  return restAt({ url, authority, ca: readAuthority(authority, usage) }, token);
}

function restAt(
  place: { readonly url: string; readonly authority: string | null; readonly ca: string | null },
  token: string,
): Rest {
  const { url, ca } = place;
  const headers = {
    authorization: `Bearer ${token}`,
    accept: "application/json",
    "user-agent": "postern-cli",
  };

  /** Redirects are not followed: the token is for this gateway alone. */
  async function call(path: string, { method, headers, body, signal }: Call): Promise<IncomingMessage> {
    const target = new URL(path, url);
    const options = { method: method ?? "GET", headers, signal, ...(ca === null ? {} : { ca }) };
    const answer = await new Promise<IncomingMessage>((done, fail) => {
      const request =
        target.protocol === "https:"
          ? tlsRequest(target, options, done)
          : plainRequest(target, options, done);
      request.on("error", fail).end(body);
    }).catch((error: unknown) => {
      throw new Unreachable(`${url} cannot be reached: ${causeOf(error)}`);
    });
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300) return answer;
    const refused = parse(await textOf(answer).catch(() => ""));
    throw new RestError(status, isObject(refused) && isObject(refused.error) ? refused.error : {});
  }

  async function textOf(answer: IncomingMessage): Promise<string> {
    let text = "";
    for await (const part of answer.setEncoding("utf8")) {
      text += String(part);
      if (text.length > maxAnswer) throw new Unreachable(`${url} answers too much`);
    }
    return text;
  }

  async function json(path: string, init: Omit<Call, "signal">): Promise<unknown> {
    const answer = await call(path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const text = await textOf(answer).catch((error: unknown) => {
      throw error instanceof Unreachable ? error : new Unreachable(`${url} broke off: ${causeOf(error)}`);
    });
    const value = parse(text);
    if (value === undefined) throw new Unreachable(`${url} does not answer as a Postern gateway does`);
    return value;
  }

  return {
    url,
    ca: place.authority,
    as: (other) => restAt(place, other),
    get(path, query = {}) {
      const asked = new URL(path, url);
      for (const [name, value] of Object.entries(query))
        if (value !== undefined) asked.searchParams.set(name, value);
      return json(asked.pathname + asked.search, { headers });
    },
    post: (path, body) =>
      json(path, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    async *events(signal) {
      const answer = await call("/api/events", {
        headers: { ...headers, accept: "text/event-stream" },
        signal,
      });
      let rest = "";
      try {
        for await (const part of answer.setEncoding("utf8")) {
          rest += String(part);
          // A chunk may end between CR and LF: blocks are cut when their end is certain.
          const blocks = rest.split(/\r?\n\r?\n/);
          rest = blocks.pop() ?? "";
          if (rest.length > maxAnswer) throw new Unreachable(`${url} answers too much`);
          for (const block of blocks) {
            const event = parseEvent(block);
            if (event !== null) yield event;
          }
        }
      } catch (error) {
        throw error instanceof Unreachable ? error : new Unreachable(`${url} broke off: ${causeOf(error)}`);
      }
    },
  };
}

/** undefined: not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function readAuthority(file: string | null, usage: string): string | null {
  if (file === null) return null;
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw new UsageError(`--ca: ${file} cannot be read`, usage);
  }
}

/** One event of a text/event-stream (WHATWG HTML section 9.2.6); null: a comment, or not JSON. */
function parseEvent(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
  if (data.length === 0) return null;
  try {
    return { event, data: JSON.parse(data.join("\n")) };
  } catch {
    return null;
  }
}

/** --url, -c, POSTERN_URL, the login that is kept, ./postern.yaml: the first there is. */
async function findUrl(
  { config, url }: { readonly config?: string; readonly url?: string },
  kept: StoredLogin | null,
  usage: string,
): Promise<string> {
  const given = url ?? (config === undefined ? (process.env.POSTERN_URL ?? kept?.url) : undefined);
  if (given === undefined) return configuredUrl(config ?? "postern.yaml", usage);
  const parsed = URL.canParse(given) ? new URL(given) : null;
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed?.hostname ?? "");
  if (parsed === null || !(parsed.protocol === "https:" || (parsed.protocol === "http:" && loopback)))
    throw new UsageError("the gateway's address is an https URL (http to this machine only)", usage);
  return parsed.origin;
}

async function configuredUrl(file: string, usage: string): Promise<string> {
  const { loadConfig } = await import("../../config/index.ts");
  const { publicUrl, http, gateway } = await loadConfig(file);
  if (publicUrl !== null) return publicUrl;
  if (http === null)
    throw new UsageError(`${file} has no http listener: say where the gateway is with --url`, usage);
  const { host, port } = http;
  const name =
    host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  return `${gateway.tls === null ? "http" : "https"}://${name}:${port}`;
}

/** --token, POSTERN_TOKEN, the login that is kept. */
async function findToken(file: string | undefined, kept: StoredLogin | null, usage: string): Promise<string> {
  let token: string | undefined;
  if (file !== undefined) {
    try {
      token = (file === "-" ? readFileSync(0, "utf8") : await readFile(file, "utf8")).trim();
    } catch {
      throw new UsageError(`--token: ${file} cannot be read`, usage);
    }
  } else token = process.env.POSTERN_TOKEN ?? (await kept?.token());
  if (token === undefined || token === "")
    throw new UsageError("there is no token: postern login, --token FILE or POSTERN_TOKEN", usage);
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new UsageError("the token is not one line of printable ASCII", usage);
  return token;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return "no answer";
  if (error.name === "TimeoutError" || error.name === "AbortError") return "no answer in time";
  return "code" in error && typeof error.code === "string" ? error.code : "no answer";
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Runs a verb's work; says why it failed, on stderr. Gives the exit code: 1 refused, 3 not reached. Throws everything else. */
export async function reporting(verb: string, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unreachable) {
      process.stderr.write(`postern ${verb}: ${error.message}\n`);
      return 3;
    }
    if (!(error instanceof RestError)) throw error;
    const { code, reason, message, hint, login } = error;
    process.stderr.write(`postern ${verb}: ${reason ?? code}: ${message}\n`);
    if (code === "STEP_UP_REQUIRED")
      process.stderr.write(
        `A kept token alone decides nothing. Run this on a terminal, where you are asked to log in; or sign in again with \`postern login --fresh\` and run it once more${login === null ? "" : `; or decide in the console`}.\n`,
      );
    else if (hint !== null) process.stderr.write(`${hint}\n`);
    return 1;
  }
}
