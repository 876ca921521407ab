/** How a request is refused: one shape of error body everywhere, with a stable code (docs/api.md). */

export type ApiErrorCode =
  | "BAD_REQUEST"
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "CSRF"
  | "CROSS_SITE"
  | "STEP_UP_REQUIRED"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "CONFLICT"
  | "LENGTH_REQUIRED"
  | "TOO_LARGE"
  | "MISDIRECTED"
  | "TOO_MANY_REQUESTS"
  | "UNSUPPORTED_MEDIA_TYPE"
  | "INTERNAL"
  | "NOT_IMPLEMENTED"
  | "UNAVAILABLE";

const statuses: Readonly<Record<ApiErrorCode, number>> = {
  BAD_REQUEST: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  CSRF: 403,
  CROSS_SITE: 403,
  STEP_UP_REQUIRED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  LENGTH_REQUIRED: 411,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  MISDIRECTED: 421,
  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  NOT_IMPLEMENTED: 501,
  UNAVAILABLE: 503,
};

export interface ErrorDetail {
  /** The next step for the caller. */
  readonly hint?: string;
  /** Where a person can do what is missing. */
  readonly login?: string;
  /** What is wrong with which part of the request. */
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
  /** The code of another room, where it says more: an approval's, the policy's. */
  readonly reason?: string;
}

/** A request that is refused. `message` and `detail` are told to the caller: no secret, no address, no SQL of others. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  readonly status: number;
  readonly detail: ErrorDetail;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ApiErrorCode,
    message: string,
    detail: ErrorDetail = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.code = code;
    this.status = statuses[code];
    this.detail = detail;
    this.headers = headers;
  }
}

/** The answer to a refused request. */
export function failure(error: ApiError): Response {
  const { code, message, detail, status, headers } = error;
  return Response.json({ error: { code, message, ...detail } }, { status, headers });
}
