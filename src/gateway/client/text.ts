/** Text that strangers wrote, made fit for a record, a message or a console. */

/** Longest text kept of a name a client gives for itself (user, database, application), in code points. */
export const maxNameLength = 128;

/** Control, format (bidirectional overrides among them), surrogate and line-separator characters. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const control = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/**
 * One line without characters that move a cursor, hide text or turn its direction; each becomes "?".
 * @param max most code points to keep; what is cut off shows as "…".
 */
export function clean(text: string, max: number = maxNameLength): string {
  const line = text.replace(unsafe, "?");
  if (line.length <= max) return line;
  const points = [...line];
  return points.length <= max ? line : `${points.slice(0, max).join("")}…`;
}

/** Whether a text holds characters that no single line of a record may hold. */
export function hasControl(text: string): boolean {
  return control.test(text);
}
