/** One try to do something over a new connection: it ends in time, on demand, and leaves no open socket when it fails. */
import type { Socket } from "node:net";
import type { Failures } from "./errors.ts";

export interface Attempt {
  /** The socket that is destroyed when the attempt fails; at once, if it has failed already. */
  hold(socket: Socket): void;
  /** Waits, but no longer than the attempt lives. */
  wait<T>(promise: Promise<T>): Promise<T>;
}

/**
 * Runs `task` for at most `timeoutMs` milliseconds. Rejects with `errors.timeout()`, with `errors.aborted()` when
 * `signal` fires, or with what the task throws; then every socket held is destroyed.
 */
export async function attempt<T>(
  errors: Failures,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  task: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const { promise: failed, reject } = Promise.withResolvers<never>();
  failed.catch(() => undefined);
  const sockets: Socket[] = [];
  let over = false;
  const onAbort = () => reject(errors.aborted());
  // setTimeout fires at once beyond 2^31 - 1 ms.
  const timer = setTimeout(() => reject(errors.timeout()), Math.min(options.timeoutMs, 0x7fffffff));
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  try {
    const wait = <V>(promise: Promise<V>): Promise<V> => Promise.race([failed, promise]);
    const running = task({
      hold(socket) {
        if (over) socket.destroy();
        else sockets.push(socket);
      },
      wait,
    });
    return await wait(running);
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  } finally {
    over = true;
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", onAbort);
  }
}
