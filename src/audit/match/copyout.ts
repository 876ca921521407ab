/** The output of COPY TO STDOUT as a file: the messages in which it came are not in it. */

const header = Buffer.from("PGCOPY\n\u00ff\r\n\0", "latin1");

/** CopyData messages with these bodies. */
function messages(bodies: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  for (const body of bodies) {
    const head = Buffer.alloc(5);
    head[0] = 0x64;
    head.writeUInt32BE(4 + body.length, 1);
    parts.push(head, body);
  }
  return Buffer.concat(parts);
}

/** What may have been `count` messages: the server sends a row in one. Of several ways the likeliest first; `only`: there is no other. */
export function copyMessages(
  file: Buffer,
  count: number,
): { readonly ways: readonly Buffer[]; readonly only: boolean } {
  const lines = split(file, null);
  if (lines.length === count && !isBinary(file)) return { ways: [messages(lines)], only: true };
  const ways = [split(file, 0x22), split(file, 0x27), ...(isBinary(file) ? [tuples(file)] : [])];
  return {
    ways: ways.filter((bodies) => bodies?.length === count).map((bodies) => messages(bodies ?? [])),
    only: false,
  };
}

function isBinary(file: Buffer): boolean {
  return file.subarray(0, header.length).equals(header);
}

/** Lines with their ends; those within `quote` belong to one row. */
function split(file: Buffer, quote: number | null): Buffer[] {
  const rows: Buffer[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < file.length; at++) {
    if (file[at] === quote) quoted = !quoted;
    else if (file[at] === 0x0a && !quoted) {
      rows.push(file.subarray(from, at + 1));
      from = at + 1;
    }
  }
  if (from < file.length) rows.push(file.subarray(from));
  return rows;
}

/** Rows of the binary format (manual, COPY): the first comes with what stands before it. null: no such file. */
function tuples(file: Buffer): Buffer[] | null {
  if (file.length < 19) return null;
  const rows: Buffer[] = [];
  let from = 0;
  let at = 19 + file.readUInt32BE(15);
  while (at + 2 <= file.length) {
    const fields = file.readInt16BE(at);
    at += 2;
    for (let i = 0; i < fields; i++) {
      if (at + 4 > file.length) return null;
      at += 4 + Math.max(0, file.readInt32BE(at));
    }
    if (at > file.length) return null;
    rows.push(file.subarray(from, at));
    from = at;
    if (fields < 0) break;
  }
  return from === file.length ? rows : null;
}
