/** One pass over a cell's bytes that says which patterns can match at all: most cells have none. */

/** Kinds by bit, in the order of `builtinKinds`. */
export const bits = {
  email: 1,
  card: 2,
  iban: 4,
  ssn: 8,
  phone: 16,
  ipv4: 32,
  jwt: 64,
  cloud_key: 128,
} as const;

const digit = 1;
const letter = 2;
/** _ and - : parts of tokens. */
const joiner = 4;
const at = 8;
const dot = 16;

const classes = new Uint8Array(256);
for (let c = 0x30; c <= 0x39; c++) classes[c] = digit;
for (let c = 0x41; c <= 0x5a; c++) classes[c] = classes[c + 32] = letter;
classes[0x5f] = classes[0x2d] = joiner;
classes[0x40] = at;
classes[0x2e] = dot;

/** Shortest token that is a key of a cloud service, behind its prefix and all. */
const minToken = 14;

/** Gives the kinds that b[from, to) may hold. */
export function gate(b: Uint8Array, from: number, to: number): number {
  let digits = 0;
  let dots = 0;
  let ats = 0;
  let joiners = 0;
  let run = 0;
  let longest = 0;
  for (let i = from; i < to; i++) {
    const c = classes[b[i] as number] as number;
    if (c === 0) {
      if (run > longest) longest = run;
      run = 0;
    } else if (c === digit) {
      digits++;
      run++;
    } else if (c <= joiner) {
      if (c === joiner) joiners++;
      run++;
    } else {
      if (run > longest) longest = run;
      run = 0;
      if (c === dot) dots++;
      else ats++;
    }
  }
  if (run > longest) longest = run;
  let kinds = 0;
  if (ats > 0 && dots > 0) kinds |= bits.email;
  if (digits >= 7) {
    kinds |= bits.phone;
    if (digits >= 9) kinds |= bits.ssn;
    if (digits >= 10) kinds |= bits.iban;
    if (digits >= 13) kinds |= bits.card;
  }
  if (dots >= 3 && digits >= 4) kinds |= bits.ipv4;
  if (dots >= 2 && longest >= 16) kinds |= bits.jwt;
  // The dashes around the title of a PEM block.
  if (longest >= minToken || joiners >= 10) kinds |= bits.cloud_key;
  return kinds;
}
