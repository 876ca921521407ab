/** Unix sockets to listen on. */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect, type Server } from "node:net";
import { isMainThread } from "node:worker_threads";

/** Owner and group: who may ask at all is the folder's business, who gets in is the token's. */
const socketMode = 0o660;

/**
 * Listens on a path. A socket file nobody listens on (of a process that died) is replaced; any other file, and a socket
 * somebody listens on, is left alone.
 * Throws Error (code EADDRINUSE, or what the file system says).
 */
export async function listenOnPath(server: Server, path: string): Promise<void> {
  await removeStale(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  // bind() happens inside listen(); with this umask there is no moment at which others may connect.
  const mask = isMainThread ? process.umask(0o777 & ~socketMode) : null;
  try {
    server.listen({ path }, resolve);
  } finally {
    if (mask !== null) process.umask(mask);
  }
  await promise;
  server.off("error", reject);
  try {
    chmodSync(path, socketMode);
  } catch (error) {
    server.close();
    throw error;
  }
}

async function removeStale(path: string): Promise<void> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return;
  if (!file.isSocket()) throw inUse(path, "there is a file of this name that is not a socket");
  if (await answers(path)) throw inUse(path, "another process listens on it");
  unlinkSync(path);
}

/** Whether somebody accepts connections there. Only a clear refusal counts as nobody. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}

function inUse(path: string, why: string): Error {
  return Object.assign(new Error(`cannot listen on ${path}: ${why}`), { code: "EADDRINUSE" });
}
