/** The REST API of a running gateway, for verbs that ask it. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { loadConfig } from "../../config/index.ts";
import { UsageError } from "./args.ts";
import { storedToken } from "./stored.ts";

export const restOptions = {
  config: { type: "string", short: "c" },
  url: { type: "string" },
  token: { type: "string" },
} as const;

export const restUsage = `      --url URL    the gateway's http address (or POSTERN_URL); default: that of -c postern.yaml
      --token FILE the file of your token, - for stdin (or POSTERN_TOKEN); default: what postern login has kept
  -c FILE          the gateway's postern.yaml
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
  /** Rejects with RestError or Unreachable. */
  get(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  /** Server-sent events until `signal`; ends when the gateway closes the stream. */
  events(signal: AbortSignal): AsyncGenerator<ServerEvent>;
}

const timeoutMs = 30_000;
const maxAnswer = 32 * 1024 * 1024;

/** Finds gateway and token. Throws UsageError and ConfigError. */
export async function openRest(
  values: { readonly config?: string; readonly url?: string; readonly token?: string },
  usage: string,
): Promise<Rest> {
  const url = await findUrl(values, usage);
  const token = await findToken(values.token, url, usage);
  const headers = {
    authorization: `Bearer ${token}`,
    accept: "application/json",
    "user-agent": "postern-cli",
  };

  async function call(path: string, init: RequestInit): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(new URL(path, url), { ...init, redirect: "error" });
    } catch (error) {
      if (init.signal?.aborted === true && (error as Error).name === "AbortError") throw error;
      throw new Unreachable(`${url} cannot be reached: ${causeOf(error)}`);
    }
    if (answer.ok) return answer;
    const body = await answer.json().catch(() => null);
    throw new RestError(answer.status, isObject(body) && isObject(body.error) ? body.error : {});
  }

  async function json(path: string, init: RequestInit): Promise<unknown> {
    const answer = await call(path, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const text = await answer.text();
    if (text.length > maxAnswer) throw new Unreachable(`${url} answers too much`);
    try {
      return JSON.parse(text);
    } catch {
      throw new Unreachable(`${url} does not answer as a Postern gateway does`);
    }
  }

  return {
    url,
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
      if (answer.body === null) return;
      let rest = "";
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        // A chunk may end between CR and LF: lines are cut when their end is certain.
        rest += part;
        const blocks = rest.split(/\r?\n\r?\n/);
        rest = blocks.pop() ?? "";
        if (rest.length > maxAnswer) throw new Unreachable(`${url} answers too much`);
        for (const block of blocks) {
          const event = parseEvent(block);
          if (event !== null) yield event;
        }
      }
    },
  };
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

async function findUrl(
  { config, url }: { readonly config?: string; readonly url?: string },
  usage: string,
): Promise<string> {
  const given = url ?? (config === undefined ? process.env.POSTERN_URL : undefined);
  if (given === undefined) {
    const settings = await loadConfig(config ?? "postern.yaml");
    if (settings.http === null && settings.publicUrl === null)
      throw new UsageError("postern.yaml has no http listener: say where the gateway is with --url", usage);
    if (settings.publicUrl !== null) return settings.publicUrl;
    const { host, port } = settings.http ?? { host: "127.0.0.1", port: 0 };
    const scheme = settings.gateway.tls === null ? "http" : "https";
    const name =
      host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
    return `${scheme}://${name}:${port}`;
  }
  const parsed = URL.canParse(given) ? new URL(given) : null;
  const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed?.hostname ?? "");
  if (parsed === null || !(parsed.protocol === "https:" || (parsed.protocol === "http:" && loopback)))
    throw new UsageError("the gateway's address is an https URL (http to this machine only)", usage);
  return parsed.origin;
}

async function findToken(file: string | undefined, url: string, usage: string): Promise<string> {
  let token: string | undefined;
  if (file !== undefined) {
    try {
      token = (file === "-" ? readFileSync(0, "utf8") : await readFile(file, "utf8")).trim();
    } catch {
      throw new UsageError(`--token: ${file} cannot be read`, usage);
    }
  } else token = process.env.POSTERN_TOKEN ?? (await storedToken(url)) ?? undefined;
  if (token === undefined || token === "")
    throw new UsageError("there is no token: postern login, --token FILE or POSTERN_TOKEN", usage);
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new UsageError("the token is not one line of printable ASCII", usage);
  return token;
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return cause instanceof Error && cause.name === "TimeoutError" ? "no answer in time" : "no answer";
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
        `A kept token alone decides nothing. Sign in again with \`postern login\`, then run this once more${login === null ? "" : `; or decide in the console`}.\n`,
      );
    else if (hint !== null) process.stderr.write(`${hint}\n`);
    return 1;
  }
}
