/** The key under which Postern seals what it must store: the operator's, or one of its own beside the audit log's keys. */
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Settings } from "../../config/index.ts";
import { createEnvelope, type Envelope, readEnvelopeKey } from "../../store/envelope.ts";

/** Rejects with SecretFault for a key that cannot be read, TypeError for one that is none, or the system's error for the key file. */
export async function openEnvelope(settings: Pick<Settings, "storeKeys" | "audit">): Promise<Envelope> {
  const { storeKeys, audit } = settings;
  if (storeKeys !== null) {
    const texts = await Promise.all(storeKeys.map((key) => key.read()));
    return createEnvelope(texts.map(readEnvelopeKey));
  }
  const path = join(audit.keys, "store.key");
  await mkdir(audit.keys, { recursive: true, mode: 0o700 });
  try {
    // "wx": of two that start at once one writes, and both read the same.
    await using file = await open(path, "wx", 0o600);
    await file.writeFile(`${randomBytes(32).toString("base64")}\n`);
    await file.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return createEnvelope([readEnvelopeKey(await readFile(path, "utf8"))]);
}
