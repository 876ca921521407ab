/** Clients that ask and then do not read the answer: what waits for them holds memory, a connection, and a live view's place. */
import type { ServerResponse } from "node:http";

/**
 * Hangs up on whoever takes nothing of this answer for so long while something of it waits to be taken. An answer that is not there yet (a tool
 * that waits for an approval, a quiet live view) is not the client's fault, and is waited for. Node's timer of a socket starts anew with all
 * that is read or written, and with every part of a large write that the client took.
 *
 * @param ms milliseconds.
 */
export function hangUpOnStalled(answer: ServerResponse, ms: number): void {
  // With a listener here Node leaves the socket to us (node:http, Event "timeout"); without one, between answers, it closes it.
  answer.setTimeout(ms);
  answer.on("timeout", (socket) => {
    if (socket.writableLength > 0) socket.destroy();
    else socket.setTimeout(ms);
  });
}
