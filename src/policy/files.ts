/** Where policies lie: a file, a folder of *.yaml, or the name of a built-in one. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { builtinPolicy, isBuiltin } from "./builtin.ts";
import type { PolicyFile } from "./compile.ts";
import { maxFileBytes, maxFiles } from "./limits.ts";
import { compare, PolicyError } from "./problem.ts";

const isTest = (name: string) => /\.test\.ya?ml$/.test(name);
const isYaml = (name: string) => /\.ya?ml$/.test(name) && !name.startsWith(".");

/**
 * The policy files at `path`: a file, a folder's `*.yaml` and `*.yml` without `*.test.yaml`, sorted by name, or `agent-safe`.
 * Throws PolicyError when there is none or one cannot be read.
 */
export function policyFiles(path: string): PolicyFile[] {
  if (isBuiltin(path)) return [builtinPolicy(path)];
  return filesIn(path, (name) => isYaml(name) && !isTest(name), "a policy file, or a folder with *.yaml");
}

/** The `*.test.yaml` files at `path` (a file or a folder); empty when a folder has none. Throws PolicyError. */
export function policyTestFiles(path: string): PolicyFile[] {
  return filesIn(path, isTest, "a *.test.yaml file, or a folder", true);
}

function filesIn(
  path: string,
  wanted: (name: string) => boolean,
  expected: string,
  mayBeEmpty = false,
): PolicyFile[] {
  const refuse = (file: string, what: string) =>
    new PolicyError([{ file, line: 1, column: 1, key: "", what, expected }]);
  let names: string[];
  try {
    if (!statSync(path).isDirectory()) return [{ file: path, text: readText(path, refuse) }];
    names = readdirSync(path).filter(wanted).sort(compare);
  } catch (error) {
    throw error instanceof PolicyError ? error : refuse(path, "cannot be read");
  }
  if (names.length === 0 && !mayBeEmpty) throw refuse(path, "holds no policy file");
  if (names.length > maxFiles) throw refuse(path, `holds ${names.length} files, more than ${maxFiles}`);
  return names.map((name) => {
    const file = join(path, basename(name));
    return { file, text: readText(file, refuse) };
  });
}

function readText(path: string, refuse: (file: string, what: string) => PolicyError): string {
  let bytes: Buffer;
  try {
    if (!statSync(path).isFile()) throw refuse(path, "is no file");
    if (statSync(path).size > maxFileBytes) throw refuse(path, `is larger than ${maxFileBytes} bytes`);
    bytes = readFileSync(path);
  } catch (error) {
    throw error instanceof PolicyError ? error : refuse(path, "cannot be read");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refuse(path, "is not UTF-8");
  }
}
