/** A small query client over an upstream connection, for our own look at a database: simple query, text results, bounded. */
import type { UpstreamConnection } from "../../gateway/ports.ts";
import { decodeBackend, encodeQuery, FrameReader, ProtocolError, terminate } from "../../protocol/index.ts";

/** The server refused the query, or the conversation broke. `message` holds no address and nothing the server wrote. */
export class QueryError extends Error {
  override readonly name = "QueryError";
  readonly sqlstate: string;
  constructor(sqlstate: string, message: string) {
    super(message);
    this.sqlstate = sqlstate;
  }
}

export type Row = readonly (string | null)[];

const maxRows = 10_000;
const maxBytes = 16 * 1024 * 1024;

/**
 * Runs one statement and gives its rows. One query at a time on a connection; after a QueryError of class 08 or 57 the
 * connection is of no more use. Rejects with QueryError.
 */
export function query(connection: UpstreamConnection, text: string, timeoutMs = 15_000): Promise<Row[]> {
  const { socket } = connection;
  const reader = new FrameReader("backend", { maxMessage: maxBytes });
  return new Promise((done, fail) => {
    const rows: Row[] = [];
    let refused: QueryError | null = null;
    let bytes = 0;
    const timer = setTimeout(() => finish(new QueryError("57014", "no answer in time")), timeoutMs);

    function finish(error: QueryError | null): void {
      clearTimeout(timer);
      socket.off("data", onData).off("error", onGone).off("close", onGone).off("end", onGone);
      socket.pause();
      if (error === null) done(rows);
      else fail(error);
    }
    const onGone = () => finish(refused ?? new QueryError("08006", "the connection was lost"));

    function onData(chunk: Buffer): void {
      try {
        bytes += chunk.length;
        if (bytes > maxBytes) throw new ProtocolError("too large a result");
        reader.push(chunk);
        for (let frame = reader.next(); frame !== null; frame = reader.next()) {
          if (!take(frame.type, frame.body)) continue;
          finish(refused);
          return;
        }
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        finish(new QueryError("08P01", "the server's answer cannot be read"));
      }
    }

    /** true: the answer is complete. */
    function take(type: number, body: Buffer): boolean {
      const message = decodeBackend(type, body);
      switch (message.type) {
        case "dataRow":
          if (rows.length >= maxRows) throw new ProtocolError("too many rows");
          rows.push(message.values.map((value) => value?.toString("utf8") ?? null));
          return false;
        case "error": {
          const code = message.fields.get("C") ?? "";
          const sqlstate = /^[0-9A-Z]{5}$/.test(code) ? code : "XX000";
          refused ??= new QueryError(sqlstate, `the server refused it (${sqlstate})`);
          return false;
        }
        case "readyForQuery":
          return true;
        default:
          return false;
      }
    }

    socket.on("data", onData).on("error", onGone).on("close", onGone).on("end", onGone);
    socket.write(encodeQuery(text));
    socket.resume();
  });
}

/** Says goodbye and closes; never throws. */
export function disconnect(connection: UpstreamConnection): void {
  connection.socket.on("error", () => {});
  connection.socket.end(terminate);
  const timer = setTimeout(() => connection.socket.destroy(), 1_000);
  connection.socket.once("close", () => clearTimeout(timer));
  connection.socket.resume();
}
