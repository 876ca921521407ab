/** Desktop notifications, in a browser where the person has allowed them. */
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import type { Approval } from "../../console/src/lib/types.ts";
import { inbox, reports } from "./support/sample.ts";
import { pageSuite } from "./support/suite.ts";

/** Real notifications, and a list of what was shown. A page in front of the person shows none: here they look elsewhere. */
const watching = (away: boolean) => `
  window.shown = [];
  const Real = window.Notification;
  window.Notification = class extends Real {
    constructor(title, options) {
      super(title, options);
      window.shown.push({ note: this, title, ...options });
    }
  };
  document.hasFocus = () => ${!away};
`;

/** One that this person may decide. */
function approval(over: Partial<Approval>): Approval {
  const [first] = inbox().filter(({ can }) => can.approve);
  if (first === undefined) throw new Error("nothing in the sample may be approved");
  return { ...first, id: crypto.randomUUID(), ...over };
}

const shown = (page: Page): Promise<{ title: string; body: string; tag: string }[]> =>
  page.evaluate("window.shown.map(({ title, body, tag }) => ({ title, body, tag }))");

pageSuite(
  "notifications",
  (bench) => {
    async function open(away: boolean) {
      const { double } = bench();
      const watched = await bench().open("/connect", { permissions: ["notifications"] });
      await watched.page.addInitScript(watching(away));
      await watched.page.reload();
      await expect.poll(() => double.streams, { timeout: 15_000 }).toBe(1);
      expect(await watched.page.evaluate("Notification.permission")).toBe("granted");
      return watched;
    }

    it("tell once of what waits for this person, as text, and lead there", async () => {
      const { double } = bench();
      const { page, faults } = await open(true);
      const fresh = approval({
        requester: { ...reports, subject: "agent-\u202e<img src=x>" },
        created: new Date().toISOString(),
      });
      double.state.pending.push(fresh);
      double.emit("approval", fresh);
      double.emit("approval", fresh);
      await expect.poll(() => shown(page)).toHaveLength(1);
      const [note] = await shown(page);
      expect(note).toMatchObject({ tag: fresh.id, body: expect.stringContaining(`on ${fresh.database}`) });
      expect(note?.title).toMatch(/^agent-.*<img src=x>.* waits for approval$/);
      // Nothing in it turns the line around.
      expect(note?.title).not.toContain("\u202e");
      // Of an old one, and of one that others decide, nothing is told.
      double.emit("approval", approval({ created: new Date(Date.now() - 600_000).toISOString() }));
      double.emit(
        "approval",
        approval({
          created: new Date().toISOString(),
          can: { approve: false, deny: false, why: "others decide", code: "NOT_APPROVER", stepUp: false },
        }),
      );
      const last = approval({ created: new Date().toISOString() });
      double.emit("approval", last);
      await expect.poll(() => shown(page)).toHaveLength(2);
      expect((await shown(page)).map(({ tag }) => tag)).toEqual([fresh.id, last.id]);
      await page.evaluate("window.shown[0].note.onclick(new Event('click'))");
      await expect
        .poll(() => new URL(page.url()).pathname)
        .toBe(`/approvals/${encodeURIComponent(fresh.id)}`);
      expect(faults).toEqual([]);
    });

    it("are not shown while the page is in front; the account menu says that they are on", async () => {
      const { double } = bench();
      const { page, faults } = await open(false);
      await page.locator(".account-button").click();
      await expect
        .poll(() => page.locator(".account-row", { hasText: "Notify me" }).textContent())
        .toContain("on");
      const fresh = approval({ created: new Date().toISOString() });
      double.state.pending.push(fresh);
      double.emit("approval", fresh);
      await expect.poll(() => page.title()).toMatch(/^\(\d+\)/);
      await expect
        .poll(() => double.asked.filter(({ path }) => path === "/api/approvals").length)
        .toBeGreaterThan(1);
      expect(await shown(page)).toEqual([]);
      expect(faults).toEqual([]);
    });
  },
  { entire: true },
);
