/** The order of test files: the longest first, so that no worker is left with a long one when the others are done. */
import { relative } from "node:path";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Those that take more than ten seconds on two quiet cores, the longest first; the rest is left in vitest's order. */
const long = [
  "console/trail",
  "faults/kill",
  "e2e/hold-drivers",
  "e2e/hostile-ends",
  "console/e2e",
  "console/approvals",
  "console/shell",
  "console/hostile",
  "audit/attacks",
  "cli/login",
  "lineage/drivers",
  "api/peers",
  "mcp/corpus",
  "faults/diskfull",
  "e2e/held-nodes",
  "demo/demo",
  "faults/drain",
  "console/live",
  "cli/step-up",
  "e2e/hardened",
  "cli/serve",
  "cli/main",
  "cli/trail",
  "console/policy",
  "e2e/hold",
].map((name) => `test/${name}.test.ts`);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = long.indexOf(relative(this.ctx.config.root, moduleId).replaceAll("\\", "/"));
      return at < 0 ? long.length : at;
    };
    // vitest's own order breaks ties: failed ones and slow ones of the last run, then large ones.
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}
