/** The policy's `detect:` as masking/ takes it: patterns compiled, once for each policy. */
import { compilePattern, type DetectionSettings, PatternError } from "../../masking/index.ts";
import type { CompiledPolicy } from "../../policy/index.ts";

const compiled = new WeakMap<CompiledPolicy, DetectionSettings>();

/**
 * What to look for in columns that have no label; null: nothing. Throws PatternError for a pattern that was not checked when the
 * policy was loaded.
 */
export function detectionOf(policy: CompiledPolicy): DetectionSettings | null {
  const { detect } = policy;
  if (detect === null) return null;
  const known = compiled.get(policy);
  if (known !== undefined) return known;
  const settings: DetectionSettings = {
    rules: detect.rules.map(({ kind, pattern, action }) => ({
      kind,
      pattern: pattern === null ? null : compilePattern(pattern),
      action,
    })),
    mask: detect.mask,
    sampleRows: detect.rows,
    threshold: detect.confidence,
  };
  compiled.set(policy, settings);
  return settings;
}

/** For loadPolicy(): what is wrong with a pattern; null: nothing. */
export function patternFault(pattern: string): string | null {
  try {
    compilePattern(pattern);
    return null;
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}
