/** Cancel keys: ours towards clients, never the server's (PROTOCOL.md A9, H). */
import { randomBytes, timingSafeEqual } from "node:crypto";

export interface Cancellable {
  /** Protocol 3.0 has keys of 4 bytes, 3.2 longer ones. */
  readonly minor: 0 | 2;
  readonly ip: string;
  /** Resolves when the server has taken the request, or there was nothing to cancel. Never rejects. */
  cancel(): Promise<void>;
}

export interface CancelKeys {
  add(session: Cancellable): { readonly pid: number; readonly key: Buffer };
  remove(pid: number): void;
  /** Cancels what the session with this key runs; a wrong key does nothing and looks no different. */
  cancel(pid: number, key: Buffer): Promise<void>;
}

export function createCancelKeys(): CancelKeys {
  const keys = new Map<number, { key: Buffer; session: Cancellable }>();
  return {
    add(session) {
      // The process id is random too: with protocol 3.0 it doubles what has to be guessed.
      let pid = 0;
      while (pid === 0 || keys.has(pid)) pid = randomBytes(4).readUInt32BE() >>> 1;
      const key = randomBytes(session.minor === 2 ? 32 : 4);
      keys.set(pid, { key, session });
      return { pid, key };
    },
    remove(pid) {
      keys.delete(pid);
    },
    async cancel(pid, key) {
      const entry = keys.get(pid);
      if (entry === undefined || entry.key.length !== key.length || !timingSafeEqual(entry.key, key)) return;
      await entry.session.cancel();
    },
  };
}
