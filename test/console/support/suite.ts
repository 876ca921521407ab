/** Page tests: one browser and one stand-in for the gateway a file; skipped with a clear line where no browser is. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import { buildConsole } from "../../../scripts/console.mjs";
import { launch, noBrowser, noWholeBrowser, openPage, type Watched } from "./browser.ts";
import { type Double, startDouble } from "./double.ts";

export interface Bench {
  readonly double: Double;
  /** Opens a page on the stand-in; closed after the test. */
  open(path: string, options?: Parameters<typeof openPage>[2]): Promise<Watched>;
}

let browser: Promise<Browser> | null = null;

/**
 * Declares a suite whose tests get a bench; `bench()` is valid inside tests. `entire`: they need what only a browser with
 * windows has; of a whole file.
 */
export function pageSuite(
  name: string,
  tests: (bench: () => Bench) => void,
  { entire = false }: { readonly entire?: boolean } = {},
): void {
  const missing = entire ? noWholeBrowser : noBrowser;
  if (missing !== null) console.warn(`${name}: skipped, ${missing}`);
  // Of the file: its other suites use the same browser.
  afterAll(async () => {
    await (await browser)?.close();
    browser = null;
  });
  describe.skipIf(missing !== null)(missing === null ? name : `${name} (skipped: ${missing})`, () => {
    let running: Browser | null = null;
    let double: Double | null = null;
    let pages: Watched[] = [];
    beforeAll(async () => {
      buildConsole();
      browser ??= launch({ entire });
      running = await browser;
    });
    beforeEach(async () => {
      double = await startDouble();
    });
    afterEach(async () => {
      await Promise.all(pages.map((page) => page.close()));
      pages = [];
      await double?.close();
    });
    tests(() => {
      const standIn = double;
      const shared = running;
      if (shared === null || standIn === null) throw new Error("the bench is not up");
      return {
        double: standIn,
        async open(path, options) {
          const watched = await openPage(shared, standIn.url, options);
          pages.push(watched);
          await watched.page.goto(standIn.url + path);
          return watched;
        },
      };
    });
  });
}
