/** axe-core on a page: what a screen reader or keyboard user would stumble over. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Finding {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** Serious and critical findings, one line each. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  // Evaluated by the debugger's protocol, which no Content-Security-Policy forbids.
  await page.evaluate(source);
  const findings = (await page.evaluate(
    "axe.run(document).then((result) => result.violations)",
  )) as readonly Finding[];
  return findings
    .filter((finding) => finding.impact === "serious" || finding.impact === "critical")
    .map(
      (finding) =>
        `${finding.id}: ${finding.nodes.map((node) => `${node.html.slice(0, 160)} (${node.failureSummary ?? ""})`).join(" | ")}`,
    );
}
