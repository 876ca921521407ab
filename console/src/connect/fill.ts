/** Where a line wants the token. */

const place = /\{token\}/g;

/** The line with the token in its places; unchanged without a token. A pgt_ token has only letters that need no quoting anywhere. */
export function fill(line: string, token: string | null): string {
  return token === null ? line : line.replace(place, () => token);
}

/** Cuts a line at the places, for marking them: every second piece is one. */
export function cutAtPlaces(line: string): readonly string[] {
  return line.split(new RegExp(`(${place.source})`, "g"));
}
