/** Requests and answers of the OAuth endpoints: forms in, RFC 6749 section 5 out. */

export type OauthErrorCode =
  | "invalid_request"
  | "invalid_client"
  | "invalid_grant"
  | "unsupported_grant_type"
  | "invalid_scope"
  | "invalid_target"
  | "unsupported_token_type"
  | "temporarily_unavailable"
  | "slow_down"
  | "server_error";

const statuses: Readonly<Record<OauthErrorCode, number>> = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unsupported_grant_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  unsupported_token_type: 400,
  temporarily_unavailable: 503,
  slow_down: 429,
  server_error: 500,
};

/** A refusal (RFC 6749 section 5.2; `invalid_target`: RFC 8693 section 2.2.2). The description is told to the client. */
export class OauthError extends Error {
  override readonly name = "OauthError";
  readonly code: OauthErrorCode;
  /** Of slow_down: seconds. */
  readonly retryAfter: number;
  constructor(code: OauthErrorCode, description: string, retryAfter = 60) {
    super(description);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** RFC 6749 section 5.1: nothing of an answer with tokens may be kept. */
const noStore = { "cache-control": "no-store", pragma: "no-cache" };

export function answer(body: Readonly<Record<string, unknown>>): Response {
  return Response.json(body, { headers: noStore });
}

export function refusal(error: OauthError): Response {
  const headers: Record<string, string> = { ...noStore };
  if (error.code === "invalid_client") headers["www-authenticate"] = 'Bearer realm="postern"';
  if (error.code === "slow_down") headers["retry-after"] = String(error.retryAfter);
  // Characters of RFC 6749 section 5.2.
  const description = error.message.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'");
  return Response.json(
    { error: error.code, error_description: description },
    { status: statuses[error.code], headers },
  );
}

const maxFormBytes = 128 * 1024;
const maxFields = 40;
/** Only these may be given more than once (RFC 8693 section 2.1). */
const repeatable: ReadonlySet<string> = new Set(["audience", "resource"]);

export interface Form {
  /** One value; "" and absent are the same (RFC 6749 section 3.2). */
  one(name: string): string | null;
  /** As one, but it must be there. Throws OauthError invalid_request. */
  need(name: string): string;
  all(name: string): readonly string[];
}

/** Reads a form (RFC 6749 section 3.2 and appendix B). Throws OauthError invalid_request. */
export async function readForm(request: Request): Promise<Form> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type))
    throw new OauthError("invalid_request", "the body must be application/x-www-form-urlencoded");
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.length > maxFormBytes) throw new OauthError("invalid_request", "the body is too large");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new OauthError("invalid_request", "the body is not UTF-8");
  }
  const values = new Map<string, string[]>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    if (++count > maxFields) throw new OauthError("invalid_request", "too many parameters");
    if (value === "") continue;
    const there = values.get(name);
    if (there === undefined) values.set(name, [value]);
    else if (repeatable.has(name)) there.push(value);
    else throw new OauthError("invalid_request", `the parameter ${name.slice(0, 40)} is given twice`);
  }
  const one = (name: string) => values.get(name)?.[0] ?? null;
  return {
    one,
    need(name) {
      const value = one(name);
      if (value === null) throw new OauthError("invalid_request", `the parameter ${name} is missing`);
      return value;
    },
    all: (name) => values.get(name) ?? [],
  };
}
