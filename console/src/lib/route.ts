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
