// Makes a fresh checkout ready with nothing but node and npm; runs on whatever node the system has.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { buildConsole } from "./console.mjs";

const root = new URL("..", import.meta.url).pathname;
const marker = `${root}node_modules/.package-lock.json`;
const lock = `${root}package-lock.json`;

/** The install is complete and not older than the lock file. */
function isInstalled() {
  if (!existsSync(marker) || !existsSync(`${root}node_modules/.bin/node`)) return false;
  if (statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return true;
  const wanted = JSON.parse(readFileSync(lock, "utf8")).packages;
  const have = JSON.parse(readFileSync(marker, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, p]) => path === "" || p.optional || have[path]?.version === p.version,
  );
}

if (!isInstalled()) {
  process.stdout.write("Installing dependencies (once) ...\n");
  const done = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (done.status !== 0) {
    process.stderr.write("npm ci failed; see its output above. The npm registry must be reachable.\n");
    process.exit(1);
  }
}

try {
  buildConsole();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
