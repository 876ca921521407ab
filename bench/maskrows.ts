/** Rows for the measurements of masks. */

/** A DataRow message. */
export function dataRow(values: readonly Buffer[]): Buffer {
  const size = values.reduce((sum, value) => sum + 4 + value.length, 7);
  const row = Buffer.alloc(size);
  row[0] = 0x44;
  row.writeInt32BE(size - 1, 1);
  row.writeUInt16BE(values.length, 5);
  let at = 7;
  for (const value of values) {
    row.writeInt32BE(value.length, at);
    at += 4 + value.copy(row, at + 4);
  }
  return row;
}
