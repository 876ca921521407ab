#!/usr/bin/env node
// The published package carries dist/; a checkout runs src/ by type stripping.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `postern needs Node.js 24 or newer; this is ${process.version}. In a checkout use "npm start".\n`,
  );
  process.exit(2);
}
const args = process.argv.slice(2);
if (args[0] === "serve") startLean(args);
const source = new URL("../src/cli/main.ts", import.meta.url);
const built = new URL("../dist/cli/main.js", import.meta.url);
const { main } = await import((existsSync(source) ? source : built).href);
process.exitCode = await main(args);

/**
 * A gateway makes little garbage that lives and much that does not, and runs on a few threads. With Node's defaults, which
 * can only be changed when a process begins, it takes twice the memory once many connections have come and gone. So the
 * process begins again, as itself (execve: same pid, same files), unless somebody has set these things already.
 * V8's compilers take and give back tens of megabytes in pieces: with one thread for them, and one arena, far less of that is left in holes.
 */
function startLean(args) {
  const set = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].join(" ");
  if (process.platform === "win32" || !process.execve || /semi-space|heapsnapshot|inspect/.test(set)) return;
  try {
    process.execve(
      process.execPath,
      [
        process.execPath,
        "--max-semi-space-size=4",
        "--expose-gc",
        "--v8-pool-size=1",
        ...process.execArgv,
        fileURLToPath(import.meta.url),
        ...args,
      ],
      { MALLOC_ARENA_MAX: "1", ...process.env },
    );
  } catch {
    // Not allowed here: then it takes more memory.
  }
}
