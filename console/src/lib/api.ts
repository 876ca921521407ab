/** The REST API: one function, typed errors, and what every page needs to know when the person is not known or too stale. */

export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0: the gateway did not answer. */
  readonly status: number;
  /** Stable, docs/errors.md. */
  readonly code: string;
  readonly hint: string | null;
  /** Where to sign in again, for STEP_UP_REQUIRED; always a path of this origin. */
  readonly login: string | null;

  constructor(status: number, code: string, message: string, hint: string | null, login: string | null) {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
    this.login = login;
  }
}

export interface Ask {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

let csrf: string | null = null;
let onSignedOut: () => void = () => {};

/** The token of GET /api/me that proves that a request comes from this page. */
export function setCsrf(token: string | null): void {
  csrf = token;
}

/** `listener` is called whenever the gateway says that nobody is signed in (401). */
export function whenSignedOut(listener: () => void): void {
  onSignedOut = listener;
}

/**
 * Asks the gateway. Resolves with the decoded answer (undefined for an empty one); rejects with ApiError, or with the
 * signal's reason when aborted. It repeats nothing.
 */
export async function api<Answer>(path: string, ask: Ask = {}): Promise<Answer> {
  const method = ask.method ?? "GET";
  const headers: Record<string, string> = { accept: "application/json" };
  if (ask.body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && csrf !== null) headers["x-postern-csrf"] = csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      redirect: "error",
      ...(ask.body === undefined ? {} : { body: JSON.stringify(ask.body) }),
      ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    });
  } catch (_cause) {
    if (ask.signal?.aborted === true) throw ask.signal.reason;
    throw new ApiError(
      0,
      "UNREACHABLE",
      "The gateway does not answer.",
      "Check that it runs and that you are online.",
      null,
    );
  }
  if (!response.ok) throw await refusal(response);
  if (response.status === 204) return undefined as Answer;
  const text = await response.text();
  if (text === "") return undefined as Answer;
  try {
    return JSON.parse(text) as Answer;
  } catch {
    throw new ApiError(response.status, "BAD_ANSWER", "The gateway's answer could not be read.", null, null);
  }
}

/** Reads what the gateway says of a refused request, whatever shape it has. */
export async function refusal(response: Response): Promise<ApiError> {
  let told: Readonly<Record<string, unknown>> = {};
  try {
    const body: unknown = await response.json();
    if (isRecord(body) && isRecord(body.error)) told = body.error;
  } catch {
    // A proxy's HTML page, or nothing: the status alone must do.
  }
  const error = new ApiError(
    response.status,
    text(told.code) ?? `HTTP_${response.status}`,
    text(told.message) ?? `The gateway answered ${response.status}.`,
    text(told.hint),
    ownPath(text(told.login)),
  );
  if (response.status === 401) onSignedOut();
  return error;
}

/** `value` when it is a path of this origin, else null: an answer never sends the person elsewhere. */
export function ownPath(value: string | null): string | null {
  return value !== null && /^\/(?![/\\])[^\p{Cc}]*$/u.test(value) ? value : null;
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
