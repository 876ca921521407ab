/** Connections that fail before anybody has shown anything cost their sender nothing: a flood of them must not fill the audit log's disk. */
import type { AuthFailure } from "./ports.ts";

/** Refusals of connections that never came to show a token or a certificate. */
const cheap: ReadonlySet<string> = new Set([
  "PROTOCOL",
  "TLS",
  "TLS_REQUIRED",
  "STARTUP_TIMEOUT",
  "USER_MISSING",
  "PARAMETER_REFUSED",
  "CERTIFICATE_MISSING",
  "TOO_MANY_CONNECTIONS",
  "NOT_ADMITTED",
]);
const minuteMs = 60_000;
const mostOfOne = 60;
const mostOfAll = 1_000;

/**
 * What is to be recorded of a failure: itself, or null when there were too many like it in this minute, of its address or of all. The
 * next one that is recorded says how many were not.
 * @param now milliseconds, of a clock that does not jump.
 */
export function createQuiet(
  now: () => number = () => performance.now(),
): (failure: AuthFailure) => AuthFailure | null {
  let since = now();
  let all = 0;
  let unrecorded = 0;
  let counts = new Map<string, number>();
  return (failure) => {
    if (!cheap.has(failure.code)) return failure;
    if (now() - since >= minuteMs) {
      since = now();
      all = 0;
      counts = new Map();
    }
    const count = counts.get(failure.ip) ?? 0;
    if (count >= mostOfOne || all >= mostOfAll) {
      unrecorded++;
      return null;
    }
    counts.set(failure.ip, count + 1);
    all++;
    if (unrecorded === 0) return failure;
    const cause = `${failure.cause} (before it ${unrecorded} refused connections were not recorded)`;
    unrecorded = 0;
    return { ...failure, cause };
  };
}
