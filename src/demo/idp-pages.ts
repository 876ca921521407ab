/** The pages of the demo's OIDC provider: no password, one picks who one is. They run and load nothing. */
import { createHash } from "node:crypto";
import type { Person } from "./people.ts";

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center}main{width:min(26rem,calc(100vw - 3rem))}h1{font-size:1.3rem}button{display:block;width:100%;text-align:left;font:inherit;padding:.7rem 1rem;margin:0 0 .6rem;border:1px solid GrayText;border-radius:.5rem;background:transparent;color:inherit;cursor:pointer}button:hover,button:focus-visible{outline:2px solid Highlight}small{display:block;opacity:.8}code{font-size:1.6rem}input[type=text]{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:0 0 .6rem;text-transform:uppercase}`;

/** Nothing but this style; forms may lead back to any client, so that their targets are not bounded. */
export const pagePolicy = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; frame-ancestors 'none'`;

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** `body`: HTML. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${style}</style></head>
<body><main><h1>${escapeHtml(title)}</h1>
${body}
</main></body></html>
`;
}

/** Who are you? Each button sends its person's subject to `action`. */
export function personPage(people: readonly Person[], action: string, client: string): string {
  const buttons = people.map(
    ({ subject, role, groups }) =>
      `<button name="subject" value="${escapeHtml(subject)}"><strong>${escapeHtml(subject)}</strong><small>${escapeHtml(role)}: ${escapeHtml(groups.join(", "))}</small></button>`,
  );
  return page(
    "Who are you?",
    `<p>This is the demo's identity provider: it asks for no password. You are logging in to <strong>${escapeHtml(client)}</strong>.</p>
<form method="post" action="${escapeHtml(action)}">
${buttons.join("\n")}
</form>`,
  );
}

/** Forms come ready-made, with their button outside. */
export const devicePages = {
  code: (form: string, problem: string | null) =>
    page(
      "Log in on a device",
      `${problem === null ? "<p>Enter the code that the device shows.</p>" : `<p>${escapeHtml(problem)}</p>`}${form}<button type="submit" form="op.deviceInputForm">Continue</button>`,
    ),
  confirm: (form: string, client: string, code: string) =>
    page(
      "Is this your device?",
      `<p><strong>${escapeHtml(client)}</strong> shows this code:</p><p><code>${escapeHtml(code)}</code></p>${form}<button type="submit" form="op.deviceConfirmForm">Yes, log it in</button><button type="submit" form="op.deviceConfirmForm" name="abort" value="yes">No</button>`,
    ),
  done: () => page("Logged in", "<p>The device is logged in. You can close this page.</p>"),
} as const;

export function logoutPage(form: string): string {
  return page(
    "Log out?",
    `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Yes, log me out</button><button type="submit" form="op.logoutForm">No</button>`,
  );
}

export function errorPage(out: Readonly<Record<string, unknown>>): string {
  const text = [out.error, out.error_description].filter((part) => typeof part === "string").join(": ");
  return page("That did not work", `<p>${escapeHtml(text)}</p>`);
}
