#!/usr/bin/env node
// The published package carries dist/; a checkout runs src/ by type stripping.
import { existsSync } from "node:fs";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  process.stderr.write(
    `postern needs Node.js 24 or newer; this is ${process.version}. In a checkout use "npm start".\n`,
  );
  process.exit(2);
}
const source = new URL("../src/cli/main.ts", import.meta.url);
const built = new URL("../dist/cli/main.js", import.meta.url);
const { main } = await import((existsSync(source) ? source : built).href);
process.exitCode = await main(process.argv.slice(2));
