/** Addresses of pages: pure matching, for the router and its tests. */

/** `/trail/:request` against `/trail/abc` → { request: "abc" }; null: no match. Parts that are no valid percent-encoding never match. */
export function matchPath(pattern: string, path: string): Readonly<Record<string, string>> | null {
  const wanted = pattern.split("/").filter(Boolean);
  const parts = path.split("/").filter(Boolean);
  if (wanted.length !== parts.length) return null;
  const params: Record<string, string> = {};
  for (const [at, want] of wanted.entries()) {
    let part: string;
    try {
      part = decodeURIComponent(parts[at] ?? "");
    } catch {
      return null;
    }
    if (want.startsWith(":")) params[want.slice(1)] = part;
    else if (want !== part) return null;
  }
  return params;
}

/**
 * A name as one part of a path. Browsers take the parts "." and ".." away, also percent-encoded (WHATWG URL, section 4.1), and callers may claim
 * any name for their run: those get a tilde before them, and so does what could be taken for that (docs/api.md).
 */
export function segmentOf(name: string): string {
  return encodeURIComponent(/^~*\.{1,2}$/.test(name) ? `~${name}` : name);
}

/** The name that a decoded part stands for. */
export function nameOfSegment(part: string): string {
  return /^~+\.{1,2}$/.test(part) ? part.slice(1) : part;
}
