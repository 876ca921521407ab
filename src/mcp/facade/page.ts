/** The façade's pages: no script, the login's style, nothing of others that is not escaped. */

const policy =
  "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

export function page(title: string, body: string, status = 200, more = ""): Response {
  const text = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(title)}</title><link rel="stylesheet" href="/login.css">${more}</head><body><main><h1>${escaped(title)}</h1>${body}</main></body></html>`;
  return new Response(text, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": policy,
      // With no-referrer browsers send the form with "Origin: null" (Fetch standard, "append a request Origin header").
      "referrer-policy": "same-origin",
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
