import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { sharedCluster, startCluster } from "./cluster.ts";

const started: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  for (const cluster of started) await cluster.stop();
});

test("a cluster of one's own takes configuration, stops, and resumes", async () => {
  const cluster = await startCluster({
    conf: { work_mem: "'3MB'" },
    hba: ["host all all 127.0.0.1/32 reject"],
  });
  started.push(cluster);
  const db = await cluster.createDatabase();
  expect(await cluster.query(db, "select 1; show work_mem")).toEqual([{ work_mem: "3MB" }]);
  await cluster.query(db, "create table t(a int)");
  await cluster.halt("immediate");
  await cluster.resume();
  expect(await cluster.query(db, "select count(*)::int as n from t where a > $1", [0])).toEqual([{ n: 0 }]);
  await cluster.stop();
  expect(existsSync(cluster.socketDir)).toBe(false);
});

test("the shared cluster hands out databases", async () => {
  const shared = await sharedCluster();
  const db = await shared.createDatabase();
  expect(await shared.query(db, "select current_database() as name")).toEqual([{ name: db }]);
  await shared.dropDatabase(db);
  expect(await shared.query("postgres", "select 1 from pg_database where datname = $1", [db])).toEqual([]);
});

test("no server and no folder is left behind by a killed process", async () => {
  const code =
    `const { startCluster } = await import(${JSON.stringify(import.meta.resolve("./cluster.ts"))});` +
    "const c = await startCluster(); console.log(c.socketDir); setInterval(() => {}, 1000);";
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  const folder = String(line).trim();
  expect(existsSync(`${folder}/data/postmaster.pid`)).toBe(true);
  child.kill("SIGKILL");
  for (let n = 0; n < 100 && existsSync(folder); n++) await sleep(100);
  expect(existsSync(folder)).toBe(false);
});
