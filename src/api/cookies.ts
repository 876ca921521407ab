/** The gateway's cookies: their names, what they carry along, and how they are read. */

export type CookieName = "postern_session" | "postern_login" | "postern_saml";

/**
 * The name under which a cookie goes. By https it has the prefix `__Host-`: browsers take such a cookie only from this very host, by TLS, for
 * the whole of it, so that neither a neighbour under the same domain nor somebody on the network can put one there (RFC 6265bis section
 * 4.1.3.2). The other name is not read then. On loopback there is no TLS, and the prefix cannot be had.
 *
 * @param secure whether browsers reach the listener by https.
 */
export function cookieOf(name: CookieName, secure: boolean): string {
  return secure ? `__Host-${name}` : name;
}

/** A Set-Cookie header; `seconds` 0 removes the cookie. `value`: letters, digits, "-" and "_". */
export function setCookie(
  name: CookieName,
  value: string,
  {
    secure,
    sameSite,
    seconds,
  }: { readonly secure: boolean; readonly sameSite: "Strict" | "Lax"; readonly seconds: number },
): string {
  const attributes = `Max-Age=${seconds}; Path=/; HttpOnly; SameSite=${sameSite}${secure ? "; Secure" : ""}`;
  return `${cookieOf(name, secure)}=${value}; ${attributes}`;
}

/** The value of a cookie (RFC 6265 section 5.4); null when it is missing, or given twice: two readers could take different ones. */
export function readCookie(header: string | undefined, name: CookieName, secure: boolean): string | null {
  const start = `${cookieOf(name, secure)}=`;
  const values = (header ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(start))
    .map((pair) => pair.slice(start.length));
  const [value] = values;
  return values.length === 1 && value !== undefined && value !== "" ? value : null;
}
