// Builds the console when its build is missing or older than its sources. Runs on whatever node the system has.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = `${root}dist/console`;

/** The latest change below a folder, in milliseconds since the epoch. */
function newest(path) {
  const found = statSync(path);
  if (!found.isDirectory()) return found.mtimeMs;
  return readdirSync(path).reduce(
    (latest, name) => Math.max(latest, newest(`${path}/${name}`)),
    found.mtimeMs,
  );
}

function isFresh() {
  if (!existsSync(`${target}/index.html`)) return false;
  const built = statSync(target).mtimeMs;
  return built >= Math.max(newest(`${root}console`), statSync(`${root}package-lock.json`).mtimeMs);
}

/** Packs every text once, here, instead of on every request. */
function pack(folder) {
  for (const name of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${name.name}`;
    if (name.isDirectory()) pack(path);
    else if (/\.(js|css|html|svg)$/.test(name.name)) {
      const content = readFileSync(path);
      if (content.length < 1024) continue;
      writeFileSync(`${path}.br`, brotliCompressSync(content));
      writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
    }
  }
}

/** Builds beside the old build and swaps them, so that a running gateway and a second builder always see a whole one. */
export function buildConsole({ always = false } = {}) {
  if (!always && isFresh()) return;
  const fresh = `${root}dist/.console-${process.pid}`;
  const old = `${root}dist/.console-${process.pid}-old`;
  mkdirSync(`${root}dist`, { recursive: true });
  const node = existsSync(`${root}node_modules/.bin/node`)
    ? `${root}node_modules/.bin/node`
    : process.execPath;
  const vite = `${root}node_modules/vite/bin/vite.js`;
  const done = spawnSync(node, [vite, "build", `${root}console`, "--outDir", fresh, "--emptyOutDir"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, NODE_ENV: "production" },
  });
  try {
    if (done.status !== 0) throw new Error("the console could not be built; vite's output above says why");
    pack(fresh);
    if (existsSync(target)) renameSync(target, old);
    renameSync(fresh, target);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  buildConsole({ always: process.argv.includes("--always") });
