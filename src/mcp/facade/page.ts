/** The façade's pages: no script, no style, nothing of others that is not escaped. */

const policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

export function page(title: string, body: string, status = 200, more = ""): Response {
  const text = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>${more}</head><body><main><h1>${escaped(title)}</h1>${body}</main></body></html>`;
  return new Response(text, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy,
      "cache-control": "no-store",
    },
  });
}

export function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`);
}

/** Sends the browser on by a page, since a form's answer may not leave this site (CSP form-action). */
export function sendOn(url: string): Response {
  const to = escaped(url);
  return page(
    "Done",
    `<p><a href="${to}">Go back to the program</a></p>`,
    200,
    `<meta http-equiv="refresh" content="0;url=${to}">`,
  );
}

export function refusal(text: string, status = 400): Response {
  return page("This cannot go on", `<p>${escaped(text)}</p>`, status);
}
