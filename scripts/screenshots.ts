/**
 * Pictures of the console's main pages, on sample data, into docs/img (or the folder given): `node scripts/screenshots.ts [FOLDER]`.
 * Needs chromium (test/console/support/browser.ts says where it is looked for).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { desktop, launch, openPage, phone } from "../test/console/support/browser.ts";
import { startDouble } from "../test/console/support/double.ts";
import { makeTrail, serveTrail } from "../test/console/support/trail.ts";
import { buildConsole } from "./console.mjs";

const folder = process.argv[2] ?? join(import.meta.dirname, "../docs/img");
const only = process.argv[3];
/** The documentation needs few of them; a folder of one's own gets every size and scheme. */
const all = process.argv[2] !== undefined;
const documented = new Set([
  "live-dark",
  "approvals-phone-light",
  "approval-phone-light",
  "decide-phone-light",
]);
mkdirSync(folder, { recursive: true });
buildConsole();
const browser = await launch();

interface Shot {
  readonly name: string;
  readonly path: string;
  /** Shown when the page is ready. */
  readonly wait: string;
  /** A button to press first. */
  readonly press?: string;
  /** What is typed into the editor before that. */
  readonly type?: string;
}

const trail = await makeTrail();
const masked = trail.hits.find((hit) => hit.masked.length > 0)?.request ?? "";

const shots: readonly Shot[] = [
  { name: "overview", path: "/", wait: ".plot-svg" },
  { name: "trail", path: "/trail", wait: ".hit" },
  { name: "statement", path: `/trail/${masked}`, wait: '[data-proof="good"]', press: "Show the steps" },
  { name: "run", path: "/runs/run-7f3a", wait: ".step" },
  { name: "policy", path: "/policy", wait: ".rule" },
  {
    name: "playground",
    path: "/policy?tab=playground",
    wait: ".editor:not(.plain)",
    press: "Explain",
    type: "select id, name, email from customers",
  },
  { name: "replay", path: "/policy?tab=replay", wait: ".check-ok", press: "Run" },
  { name: "live", path: "/live", wait: ".said" },
  { name: "approvals", path: "/approvals", wait: ".inbox-row" },
  { name: "approval", path: "/approvals/FIRST", wait: ".decision-bar", press: "Try it out" },
  { name: "decide", path: "/approvals/FIRST", wait: ".decision-bar", press: "Approve" },
  { name: "connect", path: "/connect", wait: ".line-text", press: "Make a token" },
  { name: "access", path: "/access", wait: ".table" },
  { name: "login", path: "/login", wait: ".login-list" },
];
const sizes = [
  ["", desktop],
  ["-phone", phone],
] as const;

for (const shot of shots) {
  if (only !== undefined && shot.name !== only) continue;
  for (const [suffix, viewport] of sizes)
    for (const colorScheme of ["light", "dark"] as const) {
      const variant = `${shot.name}${suffix}-${colorScheme}`;
      if (!all && variant !== `${shot.name}-light` && !documented.has(variant)) continue;
      const double = await startDouble({ lively: 150 });
      serveTrail(double, trail);
      const watched = await openPage(browser, double.url, {
        viewport,
        colorScheme,
        deviceScaleFactor: suffix === "" ? 1 : 2,
      });
      // Nobody is signed in yet.
      const { me } = double.state;
      if (shot.name === "login") double.state.me = null;
      await watched.page.goto(
        `${double.url}${shot.path.replace("FIRST", double.state.pending[0]?.id ?? "")}`,
      );
      await watched.page.waitForSelector(shot.wait);
      double.state.me = me;
      if (shot.type !== undefined) {
        await watched.page.locator(".cm-content").click();
        await watched.page.keyboard.press("ControlOrMeta+A");
        await watched.page.keyboard.type(shot.type);
      }
      if (shot.press !== undefined)
        await watched.page.getByRole("button", { name: shot.press }).first().click();
      await watched.page.waitForTimeout(shot.name === "live" ? 3_000 : 700);
      const file = join(folder, `${variant}.png`);
      await watched.page.screenshot({ path: file });
      console.log(file, ...watched.faults);
      await watched.close();
      await double.close();
    }
}
await browser.close();
trail.remove();
