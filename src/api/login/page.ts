/** The pages of login: a few lines of HTML that run nothing. The console has its own look; these must work without it. */

/** Their stylesheet, at /login.css. */
export const loginCss = `:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;min-height:100vh;place-items:center;background:Canvas;color:CanvasText}
main{width:min(24rem,calc(100vw - 3rem));padding:2rem 0}
h1{font-size:1.4rem;margin:0 0 1rem}
ul{list-style:none;padding:0;margin:0}
li{margin:0 0 .75rem}
a.button{display:block;padding:.75rem 1rem;border:1px solid GrayText;border-radius:.5rem;text-decoration:none;color:inherit;font-weight:600}
a.button:hover,a.button:focus-visible{outline:2px solid Highlight;outline-offset:1px}
code{font-family:ui-monospace,monospace}
`;

const policy =
  "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** `body`: HTML whose texts went through escapeHtml. */
export function loginPage(title: string, body: string, status = 200): Response {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Postern</title><link rel="stylesheet" href="/login.css"></head>
<body><main><h1>${escapeHtml(title)}</h1>
${body}
</main></body></html>
`;
  return new Response(html, {
    status,
    headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy },
  });
}

export function choicePage(providers: readonly { readonly name: string; readonly url: string }[]): Response {
  const list = providers
    .map(({ name, url }) => `<li><a class="button" href="${escapeHtml(url)}">${escapeHtml(name)}</a></li>`)
    .join("\n");
  return loginPage("Log in with", `<ul>\n${list}\n</ul>`);
}

/** What went wrong, in words for the person, with the code that the log has. */
export function failurePage(code: string, text: string, status: number): Response {
  return loginPage(
    "Login failed",
    `<p>${escapeHtml(text)}</p><p><small>Code: <code>${escapeHtml(code)}</code></small></p>
<p><a class="button" href="/login">Try again</a></p>`,
    status,
  );
}
