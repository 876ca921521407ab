/**
 * vitest's global set-up: a broker on loopback that starts, at the first question, the initdb template and the shared
 * server, so a run that needs neither does not wait for them; and Node's compile cache for the programs that tests start.
 * Tear-down stops and removes all of it, also after failed tests.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, initTemplate, startFrom, type Template } from "./cluster.ts";
import { guard, privateFolder } from "./processes.ts";

export default async function setup(): Promise<() => Promise<void>> {
  // Hundreds of programs are started from the same sources: what Node compiled once, the next one takes from here.
  const compiled = await mkdtemp(join(tmpdir(), "postern-compiled-"));
  guard(null, compiled);
  process.env.POSTERN_TEST_COMPILE_CACHE = compiled;

  let folder: string | null = null;
  let template: Promise<Template> | null = null;
  let cluster: Promise<Cluster> | null = null;

  function getTemplate(): Promise<Template> {
    template ??= privateFolder("postern-pgtpl-").then((made) => {
      folder = made;
      guard(null, made);
      return initTemplate(made);
    });
    return template;
  }
  async function answer(what: string): Promise<unknown> {
    if (what === "template") return getTemplate();
    cluster ??= getTemplate().then((made) => startFrom(made, { conf: { max_connections: "150" } }));
    const { port, socketDir, password } = await cluster;
    return { port, folder: socketDir, password };
  }

  const secret = randomBytes(16).toString("hex");
  const server = createServer((request, response) => {
    const what = /^\/([0-9a-f]+)\/(template|cluster)$/.exec(request.url ?? "");
    if (what === null || what[1] !== secret) return void response.writeHead(404).end();
    answer(what[2] ?? "").then(
      (value) => response.end(JSON.stringify(value)),
      (error: unknown) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the broker has no port");
  process.env.POSTERN_TEST_BROKER = `http://127.0.0.1:${address.port}/${secret}`;

  return async () => {
    server.close();
    server.closeAllConnections();
    await Promise.allSettled([template, cluster]);
    if (cluster !== null) await cluster.then((started) => started.stop()).catch(() => undefined);
    if (folder !== null) await rm(folder, { recursive: true, force: true });
    await rm(compiled, { recursive: true, force: true, maxRetries: 5 });
  };
}
