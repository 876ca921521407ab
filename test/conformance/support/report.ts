/** The lines of a conformance run and its count. */
export interface Report {
  pass(name: string): void;
  /** `difference`: a few lines that show what was not the same. */
  fail(name: string, difference: string): void;
  /** Differs, and is meant to; `why` in one line. */
  known(name: string, why: string): void;
  skip(name: string, why: string): void;
  readonly counts: { passed: number; failed: number; known: number; skipped: number };
  /** Names of what failed. */
  readonly failures: readonly string[];
}

export function createReport(print: (line: string) => void): Report {
  const counts = { passed: 0, failed: 0, known: 0, skipped: 0 };
  const failures: string[] = [];
  return {
    counts,
    failures,
    pass(name) {
      counts.passed++;
      print(`PASS  ${name}`);
    },
    fail(name, difference) {
      counts.failed++;
      failures.push(name);
      print(`FAIL  ${name}`);
      for (const line of difference.split("\n")) print(`        ${line}`);
    },
    known(name, why) {
      counts.known++;
      print(`KNOWN ${name} — ${why}`);
    },
    skip(name, why) {
      counts.skipped++;
      print(`SKIP  ${name} — ${why}`);
    },
  };
}
