/** YAML or JSON given on the command line: `--as`, `--facts`, `--session`. */
import { existsSync, readFileSync } from "node:fs";
import { PolicyError, type PolicyProblem } from "../../policy/problem.ts";
import { readYaml } from "../../policy/yaml/document.ts";
import { Reader, type Spot } from "../../policy/yaml/reader.ts";

/**
 * Reads an option's value: text such as '{ kind: agent, groups: [agents] }', or the name of a file with it. Throws PolicyError
 * with every mistake.
 */
export function readGiven<Value>(
  option: string,
  value: string,
  read: (reader: Reader, spot: Spot) => Value | null,
): Value {
  const isFile = /^[^{}[\]:\n]+$/.test(value) && existsSync(value);
  const result = readYaml(isFile ? value : option, isFile ? readFileSync(value, "utf8") : value);
  const problems: PolicyProblem[] = [...result.problems];
  if (!result.ok) throw new PolicyError(problems);
  const reader = new Reader(result.file, problems);
  const read_ = read(reader, reader.root());
  if (problems.length > 0 || read_ === null) throw new PolicyError(problems);
  return read_;
}
