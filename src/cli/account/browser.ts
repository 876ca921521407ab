/** Opening the user's browser, and waiting for what it brings back to a loopback address (RFC 8252 section 7.3). */
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { CliError } from "./error.ts";

/** Whether there is a browser to be opened: not in a session over SSH, not without a display. */
export function hasBrowser(env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.BROWSER !== undefined && env.BROWSER !== "") return true;
  if (env.SSH_CONNECTION !== undefined || env.SSH_TTY !== undefined || env.CI !== undefined) return false;
  if (process.platform === "darwin" || process.platform === "win32") return true;
  return (env.DISPLAY ?? env.WAYLAND_DISPLAY ?? "") !== "";
}

/** Tries to open an address; that it does not work is no error: the address is shown as well. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv = process.env): void {
  const [command, ...args] =
    env.BROWSER !== undefined && env.BROWSER !== ""
      ? [env.BROWSER, url]
      : process.platform === "darwin"
        ? ["open", url]
        : process.platform === "win32"
          ? ["rundll32", "url.dll,FileProtocolHandler", url]
          : ["xdg-open", url];
  if (command === undefined) return;
  try {
    const child = spawn(command, args, { stdio: "ignore", detached: true });
    child.on("error", () => {});
    child.unref();
  } catch {
    // As said.
  }
}

export interface Loopback {
  readonly port: number;
  /** The address as it was called back, once. Rejects with CliError when nobody comes in time. */
  readonly callback: Promise<URL>;
  close(): void;
}

const waitMs = 5 * 60_000;

/** Listens for one callback at http://127.0.0.1:PORT/callback that carries this state. */
export async function listenOnce(state: string): Promise<Loopback> {
  const { promise, resolve, reject } = Promise.withResolvers<URL>();
  promise.catch(() => {});
  const server = createServer((request, response) => {
    response.setHeader("connection", "close");
    response.setHeader("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    response.setHeader("content-type", "text/html; charset=utf-8");
    const url = URL.canParse(request.url ?? "", "http://127.0.0.1")
      ? new URL(request.url ?? "", "http://127.0.0.1")
      : null;
    // Anything on this machine may call: what does not know the state is not the answer.
    if (
      request.method !== "GET" ||
      url?.pathname !== "/callback" ||
      url.searchParams.get("state") !== state
    ) {
      response.writeHead(404).end("<!doctype html><title>Not found</title><p>There is nothing here.");
      return;
    }
    const refused = url.searchParams.has("error");
    response.end(
      `<!doctype html><html lang="en"><title>Postern</title><p>${refused ? "You were not logged in." : "You are logged in."} You can close this page and go back to the terminal.`,
    );
    resolve(url);
  });
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(0, "127.0.0.1", done);
  });
  const timer = setTimeout(
    () =>
      reject(new CliError(1, "nobody logged in within 5 minutes", "Run postern login again, or --device.")),
    waitMs,
  );
  return {
    port: (server.address() as AddressInfo).port,
    callback: promise,
    close() {
      clearTimeout(timer);
      server.close();
      server.closeAllConnections();
    },
  };
}
