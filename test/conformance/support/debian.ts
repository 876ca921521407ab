/** A PostgreSQL server of the distribution, for client programs that refuse to talk to a newer one (pg_dump). */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { binaries } from "../../support/binaries.ts";
import { type Cluster, freePort } from "../../support/cluster.ts";
import { guard, privateFolder, run, writeAsServer } from "../../support/processes.ts";

/** Starts a server with the programs in `bin`, on 127.0.0.1 and a Unix socket; rejects with its log when it does not come up. */
export async function startDebianCluster(
  bin: string,
  conf: Readonly<Record<string, string>>,
  tls: { readonly cert: string; readonly key: string },
): Promise<Pick<Cluster, "port" | "query" | "stop"> & { readonly logFile: string }> {
  const { owner } = await binaries();
  const folder = await privateFolder("postern-debian-");
  const dataDir = join(folder, "data");
  const logFile = join(folder, "log");
  const port = await freePort();
  await run(join(bin, "initdb"), [
    ...["--pgdata", dataDir, "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres"],
  ]);
  await writeAsServer(
    join(dataDir, "pg_hba.conf"),
    "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
  );
  const lines = Object.entries({
    port: String(port),
    fsync: "off",
    full_page_writes: "off",
    shared_buffers: "32MB",
    timezone: "'UTC'",
    listen_addresses: "'127.0.0.1'",
    unix_socket_directories: `'${folder}'`,
    ssl: "on",
    ...conf,
  }).map(([name, value]) => `${name} = ${value}\n`);
  await writeAsServer(join(dataDir, "postgresql.auto.conf"), lines.join(""));
  await writeAsServer(join(dataDir, "server.crt"), tls.cert);
  await writeAsServer(join(dataDir, "server.key"), tls.key);
  const child: ChildProcess = spawn(
    "/bin/sh",
    ["-c", 'exec "$1" -D "$2" >"$3" 2>&1', "sh", join(bin, "postgres"), dataDir, logFile],
    {
      stdio: "ignore",
      detached: true,
      cwd: folder,
      // Extensions that connect to other servers find this one.
      env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC", PGHOST: folder },
      ...owner,
    },
  );
  const exited = once(child, "exit");
  const watch = guard(child.pid ?? null, folder);
  for (;;) {
    const status = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => "");
    if (status.split("\n")[7]?.trim() === "ready") break;
    if (child.exitCode !== null) {
      watch.dismiss();
      throw new Error(`PostgreSQL did not start:\n${await readFile(logFile, "utf8")}`);
    }
    await sleep(20);
  }
  return {
    port,
    logFile,
    async query(database, sql) {
      const client = new pg.Client({ host: folder, port, user: "postgres", database });
      client.on("error", () => undefined);
      await client.connect();
      try {
        const result: unknown = await client.query(sql);
        const last = (Array.isArray(result) ? result.at(-1) : result) as { rows: Record<string, unknown>[] };
        return last.rows;
      } finally {
        await client.end();
      }
    },
    async stop() {
      child.kill("SIGINT");
      await exited;
      watch.dismiss();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
