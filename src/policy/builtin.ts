/** The policies that come with Postern: files under policies/, which lies beside src/ and dist/ alike. */
import { readFileSync } from "node:fs";

export const builtinNames = ["agent-safe"] as const;
export type BuiltinName = (typeof builtinNames)[number];

export function isBuiltin(name: string): name is BuiltinName {
  return builtinNames.some((known) => known === name);
}

/** A built-in policy's file name (for messages) and text. */
export function builtinPolicy(name: BuiltinName): { readonly file: string; readonly text: string } {
  const place = new URL(`../../policies/${name}.yaml`, import.meta.url);
  return { file: `${name} (built in)`, text: readFileSync(place, "utf8") };
}
