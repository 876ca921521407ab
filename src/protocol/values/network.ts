/** Text of network addresses in binary form (inet_send, macaddr_send). null when malformed. */

/**
 * inet and cidr: family (2 IPv4, 3 IPv6), bits of the mask, 1 for cidr, number of address bytes, address.
 * An inet shows its mask only where it is not the whole address; a cidr always.
 */
export function inetText(b: Buffer, isCidr: boolean): string | null {
  const family = b[0];
  const size = family === 2 ? 4 : family === 3 ? 16 : -1;
  const maskBits = b[1] ?? 0;
  if (size < 0 || b[3] !== size || b.length !== 4 + size || maskBits > size * 8) return null;
  const address = b.subarray(4);
  const text = size === 4 ? address.join(".") : ipv6Text(address);
  return isCidr || maskBits !== size * 8 ? `${text}/${maskBits}` : text;
}

/** The longest run of two or more zero words becomes "::"; IPv4 inside is shown with dots, as PostgreSQL does. */
function ipv6Text(address: Buffer): string {
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push(address.readUInt16BE(i));
  const run = longestZeroRun(words);
  const dotted = run.start === 0 && (run.length === 6 || (run.length === 5 && words[5] === 0xffff));
  const shown = words.map((word) => word.toString(16));
  if (dotted) shown.splice(6, 2, address.subarray(12).join("."));
  if (run.length < 2) return shown.join(":");
  const head = shown.slice(0, run.start).join(":");
  const tail = shown.slice(run.start + run.length).join(":");
  return `${head}::${tail}`;
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 0 };
  let start = -1;
  for (let i = 0; i <= words.length; i++) {
    if (words[i] === 0) {
      if (start < 0) start = i;
    } else if (start >= 0) {
      if (i - start > best.length) best = { start, length: i - start };
      start = -1;
    }
  }
  return best;
}

/** macaddr (6 bytes) and macaddr8 (8 bytes). */
export function macText(b: Buffer, size: 6 | 8): string | null {
  return b.length === size ? Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join(":") : null;
}
