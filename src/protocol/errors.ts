/**
 * A peer broke the PostgreSQL protocol, or asked for a part of it that is refused here.
 * The message says what was wrong in the words PostgreSQL uses where it has some; it never quotes bytes of the peer.
 */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  /** SQLSTATE: "08P01" protocol violation, "54000" too large, "0A000" not supported, "28000" authentication failed. */
  readonly code: string;

  constructor(message: string, code = "08P01") {
    super(message);
    this.code = code;
  }
}
