/** Ends of connections that may take a while. */
import type { WireSocket } from "./ports.ts";

/**
 * Destroys a socket that has not closed by itself within `ms` milliseconds. Once it has closed nothing keeps it, nor what stood
 * around it: with a thousand connections a second, some seconds of each would be most of the memory.
 */
export function destroyAfter(socket: WireSocket, ms: number): void {
  if (socket.closed) return;
  const timer = setTimeout(() => socket.destroy(), ms);
  timer.unref();
  socket.once("close", () => clearTimeout(timer));
}
