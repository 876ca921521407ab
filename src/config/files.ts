/** Reading the files that a configuration names: bounded, regular files only, no contents in errors. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";

/** A file that could not be read; `message` says why without its contents. */
export class FileFault extends Error {
  override readonly name = "FileFault";
}

/**
 * Reads a whole regular file of at most `maxBytes` as UTF-8; a byte order mark is dropped unless `keepMark`.
 * Throws FileFault: missing, unreadable, a folder or a device, too large, not UTF-8.
 */
export async function readText(
  path: string,
  maxBytes: number,
  options?: { keepMark: boolean },
): Promise<string> {
  const bytes = await readBytes(path, maxBytes);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: options?.keepMark ?? false }).decode(bytes);
  } catch {
    throw new FileFault("is not UTF-8 text");
  }
}

async function readBytes(path: string, maxBytes: number): Promise<Buffer> {
  try {
    // O_NONBLOCK: opening a pipe must not hang before it is seen to be one.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await handle.stat();
    if (!stat.isFile()) throw new FileFault("is not a regular file");
    if (stat.size > maxBytes) throw new FileFault(`is larger than ${maxBytes} bytes`);
    // Files under /proc and the like report size 0: read to the bound, not to the size.
    const buffer = Buffer.allocUnsafe(stat.size > 0 ? stat.size + 1 : maxBytes + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > maxBytes) throw new FileFault(`is larger than ${maxBytes} bytes`);
    return buffer.subarray(0, length);
  } catch (error) {
    if (error instanceof FileFault) throw error;
    throw new FileFault(explainCode((error as NodeJS.ErrnoException).code));
  }
}

function explainCode(code: string | undefined): string {
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "does not exist";
    case "EACCES":
    case "EPERM":
      return "may not be read by this user";
    case "EISDIR":
      return "is a folder";
    case "ELOOP":
      return "is a circle of symbolic links";
    default:
      return `cannot be read (${code ?? "unknown error"})`;
  }
}
