/** The gateway's HTTP interface as the command line uses it. */
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { z } from "zod";
import { CliError } from "./error.ts";

/** Where a gateway is, and whose certificates it may show. */
export interface Place {
  readonly url: string;
  readonly ca: string | null;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** The server's clock, ms since the epoch; null: it did not say. */
  readonly date: number | null;
}

const timeoutMs = 15_000;
const maxAnswer = 8 * 1024 * 1024;

/** A gateway's address as people type it → its origin. Plain http is for loopback alone. Throws CliError. */
export function gatewayUrl(text: string): string {
  const full = /^[a-z]+:\/\//i.test(text) ? text : `https://${text}`;
  if (!URL.canParse(full)) throw new CliError(2, `${JSON.stringify(text)} is not an address`);
  const { protocol, hostname, origin, username } = new URL(full);
  const loopback = ["localhost", "127.0.0.1", "[::1]"].includes(hostname);
  if (username !== "" || !(protocol === "https:" || (protocol === "http:" && loopback)))
    throw new CliError(
      2,
      `${origin} is not an https address`,
      "Tokens are only sent over TLS, or on loopback.",
    );
  return origin;
}

/** The text of a PEM file that names whose certificates are accepted. Throws CliError 2 when it cannot be read. */
export function readAuthority(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code = "?" } = error as NodeJS.ErrnoException;
    throw new CliError(
      2,
      `the authority's certificate ${file} cannot be read (${code})`,
      "Log in again with --ca and the place where it lies now.",
    );
  }
}

/** One request. Throws CliError 3 when nobody answers, 2 when the file with the authority cannot be read. */
export async function ask(
  place: Place,
  path: string,
  options: {
    readonly method?: "GET" | "POST" | "DELETE";
    readonly token?: string;
    readonly form?: URLSearchParams;
    readonly json?: unknown;
  } = {},
): Promise<Answer> {
  const { token, form, json } = options;
  const text = form?.toString() ?? (json === undefined ? null : JSON.stringify(json));
  const url = new URL(path, place.url);
  const headers: Record<string, string> = { accept: "application/json", "user-agent": "postern-cli" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  if (text !== null) {
    headers["content-type"] = form === undefined ? "application/json" : "application/x-www-form-urlencoded";
    headers["content-length"] = String(Buffer.byteLength(text));
  }
  const tls = url.protocol === "https:";
  const ca = tls && place.ca !== null ? readAuthority(place.ca) : null;
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(
        new CliError(
          3,
          `${place.url} cannot be reached (${error.code ?? error.message})`,
          /CERT|SELF_SIGNED|UNABLE_TO/.test(error.code ?? "")
            ? "Its certificate is not trusted here: give the authority's PEM file with --ca."
            : "postern doctor says more.",
        ),
      );
    const request = (tls ? httpsRequest : httpRequest)(
      url,
      {
        method: options.method ?? (text === null ? "GET" : "POST"),
        headers,
        timeout: timeoutMs,
        ...(ca === null ? {} : { ca }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxAnswer) response.destroy(new Error("the answer is too large"));
          else chunks.push(chunk);
        });
        response.on("error", fail);
        response.on("end", () => {
          const answer = Buffer.concat(chunks).toString("utf8");
          let body: unknown = null;
          try {
            body = answer === "" ? null : JSON.parse(answer);
          } catch {
            // Some proxy's page: the status says enough.
          }
          const date = Date.parse(response.headers.date ?? "");
          resolve({ status: response.statusCode ?? 0, body, date: Number.isNaN(date) ? null : date });
        });
      },
    );
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", fail);
    request.end(text ?? undefined);
  });
}

/** The body of an answer of success, as `schema` has it. Throws CliError for any other answer. */
export function readOk<T>(answer: Answer, what: string, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(expectOk(answer, what));
  if (!parsed.success) throw new CliError(3, `${what}: the gateway's answer cannot be read`);
  return parsed.data;
}

/** Throws CliError for an answer that is none of success. */
export function expectOk(answer: Answer, what: string): unknown {
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  const { error, error_description: description } = z
    .object({
      error: z.union([z.string(), z.object({ message: z.string(), hint: z.string().optional() })]).optional(),
      error_description: z.string().optional(),
    })
    .catch({})
    .parse(answer.body);
  const why = typeof error === "object" ? error.message : (description ?? error ?? `status ${answer.status}`);
  const hint = typeof error === "object" && error.hint !== undefined ? error.hint : null;
  throw new CliError(
    answer.status >= 500 ? 3 : 1,
    `${what}: ${clean(why)}`,
    hint ?? (answer.status === 401 ? "postern login" : null),
  );
}

/** Text of others on the terminal: no control characters, and none that reorder. */
export function clean(text: string): string {
  return text.replaceAll(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, " ").slice(0, 500);
}

const provider = z.discriminatedUnion("type", [
  z.object({
    name: z.string(),
    type: z.literal("oidc"),
    issuer: z.string(),
    client_id: z.string().nullable(),
    scopes: z.array(z.string()),
    resource: z.string().nullable(),
    audience: z.array(z.string()),
    login: z.string().nullable(),
  }),
  z.object({ name: z.string(), type: z.literal("saml"), login: z.string() }),
]);
export type ProviderInfo = z.output<typeof provider>;

const wellKnown = z.object({
  version: z.literal(1),
  issuer: z.string(),
  providers: z.array(provider),
  postgres: z.array(
    z.object({
      host: z.string(),
      port: z.number(),
      tls: z.enum(["required", "optional", "none"]),
      auth: z.array(z.string()),
    }),
  ),
});
export type GatewayInfo = z.output<typeof wellKnown>;

/** What the gateway tells of itself. Throws CliError. */
export async function describeGateway(place: Place): Promise<GatewayInfo> {
  const answer = await ask(place, "/.well-known/postern");
  const parsed = wellKnown.safeParse(answer.body);
  if (answer.status !== 200 || !parsed.success)
    throw new CliError(3, `${place.url} is no Postern gateway`, "Is it the address of its http listener?");
  return parsed.data;
}

/**
 * Whether the gateway is the one that was asked for, by its own word (RFC 8414 section 3.3): a login must not begin at one gateway and end at another.
 * On loopback it may have another name, as behind a tunnel. Throws CliError.
 */
export function checkIssuer(place: Place, { issuer }: Pick<GatewayInfo, "issuer">): void {
  const { hostname } = new URL(place.url);
  if (issuer === place.url || ["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return;
  throw new CliError(
    1,
    `the gateway at ${place.url} says that its address is ${clean(issuer)}`,
    "Log in at that address if you trust it; its administrator sets it as listen.public_url.",
  );
}

/** They are printed, and written into files of lines. */
const word = z.string().regex(/^[\x21-\x7e]{1,4096}$/);
const issued = z.object({
  access_token: word,
  expires_in: z.number(),
  id: word,
  user: word,
  expires: word,
});
export type Issued = z.output<typeof issued>;

/** Asks /oauth/token. Throws CliError. */
export async function askToken(place: Place, fields: Readonly<Record<string, string>>): Promise<Issued> {
  const body = expectOk(await ask(place, "/oauth/token", { form: new URLSearchParams(fields) }), "no token");
  const parsed = issued.safeParse(body);
  if (!parsed.success) throw new CliError(3, "the gateway's answer cannot be read");
  return parsed.data;
}
