/** The ways a connection ends before it is a session. */

/** Codes of AuthFailure made here; those of refused tokens are the identity room's. */
export type RefusalCode =
  | "PROTOCOL"
  | "TLS"
  | "TLS_REQUIRED"
  | "STARTUP_TIMEOUT"
  | "TOO_MANY_CONNECTIONS"
  | "NOT_ADMITTED"
  | "USER_MISSING"
  | "PARAMETER_REFUSED"
  | "TOKEN_MISSING"
  | "CERTIFICATE_MISSING"
  | "CERTIFICATE_REFUSED"
  | "LOCKED_OUT"
  | "UNKNOWN_DATABASE"
  | "INTERNAL";

export interface RefusalFields {
  readonly code: RefusalCode;
  /** For the audit log: no secret. */
  readonly cause: string;
  /** What the client is told; null: closed without a word. */
  readonly answer: Answer | null;
  /** Lower-case hex SHA-256 of the token that was shown, if any. */
  readonly tokenSha256?: string;
}

/** A FATAL ErrorResponse. */
export interface Answer {
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** The connection is refused. Goes to the audit log through AuthFailure, and to the client as `answer`. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: RefusalCode;
  override readonly cause: string;
  readonly answer: Answer | null;
  readonly tokenSha256: string | null;

  constructor(fields: RefusalFields) {
    super(fields.code);
    this.code = fields.code;
    this.cause = fields.cause;
    this.answer = fields.answer;
    this.tokenSha256 = fields.tokenSha256 ?? null;
  }
}

/** The conversation is over and there is nothing (more) to record: the client left, or the refusal is on the record already. */
export class Over extends Error {
  override readonly name = "Over";
  /** Last words, if the client still listens. */
  readonly answer: Answer | null;

  constructor(answer: Answer | null = null) {
    super("over");
    this.answer = answer;
  }
}

/** A breach of the protocol (SQLSTATE 08P01). The text holds nothing the client sent; it is both the answer and the cause. */
export function protocolRefusal(message: string): Refusal {
  return new Refusal({ code: "PROTOCOL", cause: message, answer: { sqlstate: "08P01", message } });
}
