/** Ends of connections. */
import { terminate } from "../../protocol/index.ts";
import type { OpenConnection } from "./connect.ts";

/** Says Terminate on an idle connection and waits for the server to close it, at most `timeoutMs` milliseconds. */
export function closeConnection(connection: OpenConnection, timeoutMs: number): Promise<void> {
  if (connection.socket.writable) connection.socket.write(terminate);
  return endStream(connection, timeoutMs);
}

/**
 * Ends our side of a connection and waits for the server to close its own, at most `timeoutMs` milliseconds.
 * Without Terminate: behind a message that was written in part, its bytes would become part of that message.
 */
export function endStream(connection: OpenConnection, timeoutMs: number): Promise<void> {
  const { socket } = connection;
  return new Promise((resolve) => {
    if (socket.closed) {
      resolve();
      return;
    }
    const timer = setTimeout(() => socket.destroy(), timeoutMs);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    // With allowHalfOpen a socket closes when both sides have ended; what still comes is of no interest.
    socket.resume();
    if (socket.writable) socket.end();
  });
}
