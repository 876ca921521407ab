/** SPIFFE IDs (SPIFFE-ID section 2). */

export interface SpiffeId {
  readonly text: string;
  readonly trustDomain: string;
  /** With its leading slash; "" for a trust domain's own ID. */
  readonly path: string;
}

const maxLength = 2048;

/** Reads a SPIFFE ID; null for anything that is not one to the letter. */
export function spiffeId(text: string): SpiffeId | null {
  if (text.length > maxLength) return null;
  const found = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/.exec(text);
  if (found === null) return null;
  const [, trustDomain = "", path = ""] = found;
  // Dot segments are no names.
  if (path.split("/").some((segment) => segment === "." || segment === "..")) return null;
  return { text, trustDomain, path };
}
