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

/** Rules whose answer hangs on colours; all others say the same of one page in every colour scheme. */
const colourRules = ["color-contrast", "link-in-text-block"];

/** Colours that are on their way would be of neither scheme, and an inherited one goes level by level. */
const still = `(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*, *::before, *::after { transition: none !important }");
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
})()`;

/**
 * Serious and critical findings, one line each: every rule with the light scheme, then what hangs on colours with the
 * dark one, on the same page as it stands.
 */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  if (!(await page.evaluate("'axe' in window"))) {
    // Evaluated by the debugger's protocol, which no Content-Security-Policy forbids.
    await page.evaluate(source);
    await page.evaluate(still);
  }
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await findings(page, { runOnly: { type: "rule", values: colourRules } });
  await page.emulateMedia({ colorScheme: "light" });
  const light = await findings(page, {});
  return [...light.map((line) => `light: ${line}`), ...dark.map((line) => `dark: ${line}`)];
}

async function findings(page: Page, options: Record<string, unknown>): Promise<readonly string[]> {
  // Of elements that pass, no report is written: that is half the work.
  const run = JSON.stringify({ ...options, resultTypes: ["violations"] });
  const found = (await page.evaluate(
    `axe.run(document, ${run}).then((result) => result.violations)`,
  )) as readonly Finding[];
  return found
    .filter((finding) => finding.impact === "serious" || finding.impact === "critical")
    .map(
      (finding) =>
        `${finding.id}: ${finding.nodes.map((node) => `${node.html.slice(0, 160)} (${node.failureSummary ?? ""})`).join(" | ")}`,
    );
}

/** Goes to another page of the console as a link in it does, without loading all of it anew. */
export async function walk(page: Page, path: string): Promise<void> {
  await page.evaluate(
    `history.pushState(null, "", ${JSON.stringify(path)}); dispatchEvent(new PopStateEvent("popstate"))`,
  );
}
