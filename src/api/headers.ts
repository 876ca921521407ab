/** The security headers of every answer. What a route has set itself stays. */

/** Answers that are data: nothing in them is ever run or framed. */
const dataPolicy = "default-src 'none'; frame-ancestors 'none'";

/** The console: its own files alone, and no inline script or style. */
export const consolePolicy =
  "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export function secureAnswer(headers: Headers, tls: boolean): void {
  const put = (name: string, value: string) => {
    if (!headers.has(name)) headers.set(name, value);
  };
  put("content-security-policy", dataPolicy);
  put("x-content-type-options", "nosniff");
  put("x-frame-options", "DENY");
  put("referrer-policy", "no-referrer");
  put("cross-origin-opener-policy", "same-origin");
  put("cross-origin-resource-policy", "same-origin");
  put("permissions-policy", "camera=(), microphone=(), geolocation=()");
  put("x-permitted-cross-domain-policies", "none");
  put("cache-control", "no-store");
  if (tls) put("strict-transport-security", "max-age=31536000");
}
