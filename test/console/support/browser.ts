/** Chromium for page tests: one browser a file, fresh contexts, and an eye on what no page of ours may ever do. */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const found = (paths: readonly (string | undefined)[]) =>
  paths.find((path) => path !== undefined && existsSync(path)) ?? null;
/** Where a browser may be; POSTERN_CHROMIUM names another. */
const whole = found([
  process.env.POSTERN_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
]);
/** The same without what belongs to windows: half the work, but it shows no notifications. */
const shell = process.env.POSTERN_CHROMIUM ?? found(["/usr/bin/chromium-headless-shell"]);

const missing = "no chromium found (apt-get install chromium, or set POSTERN_CHROMIUM)";
export const noBrowser = whole === null && shell === null ? missing : null;
export const noWholeBrowser = whole === null ? missing : null;

export const desktop = { width: 1280, height: 800 };
export const phone = { width: 390, height: 844 };

/** `entire`: one that can all that a person's browser can. */
export async function launch({ entire = false } = {}): Promise<Browser> {
  const executablePath = entire ? whole : (shell ?? whole);
  if (executablePath === null) throw new Error(missing);
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Watched {
  readonly page: Page;
  /** Things that must not happen: script errors, dialogs, policy violations, requests to other hosts. */
  readonly faults: readonly string[];
  close(): Promise<void>;
}

/** A page of its own context that is watched. `origin`: the only host it may talk to. */
export async function openPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: desktop, ...options });
  const faults: string[] = [];
  await context.exposeBinding("reportViolation", (_source, text: string) => {
    faults.push(`CSP: ${text}`);
  });
  await context.addInitScript(`addEventListener("securitypolicyviolation", (event) =>
    window.reportViolation(event.violatedDirective + " " + event.blockedURI + " " + event.sourceFile + " " + event.sample))`);
  const page = await context.newPage();
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // A refused API call is logged by the browser itself; the page deals with it.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && url.protocol !== "blob:" && url.protocol !== "data:")
      faults.push(`request: ${request.url()}`);
  });
  return { page, faults, close: () => context.close() };
}
