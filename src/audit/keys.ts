/** The keys of a log: one signs, one seals and authenticates, and each day has its own that can be destroyed. */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AuditOpenError } from "./errors.ts";
import { replaceDurably, replaceFile, syncFolder, writeNewFile } from "./files.ts";
import { formatVerifierKey, parseVerifierKey, strictBase64, type VerifierKey } from "./verify/note.ts";

export interface LogKeys {
  readonly signing: KeyObject;
  /** C2SP verifier key text, without a newline, of the key that signs now; its name is the log's origin. */
  readonly vkey: string;
  /** The text of the log's first key: with it alone the whole log can be verified. */
  readonly first: string;
  /** All keys of the log so far, the first one first, the present one last. */
  readonly ring: readonly VerifierKey[];
  /** Wraps day keys. */
  readonly wrap: KeyObject;
  /** HMAC key of the batches that no checkpoint covers yet, 32 bytes. */
  readonly tail: Buffer;
}

function derive(master: Buffer, origin: string, purpose: string): Buffer {
  return Buffer.from(
    hkdfSync("sha256", master, Buffer.from(origin, "utf8"), Buffer.from(purpose, "utf8"), 32),
  );
}

/** HMAC key for B lines: HKDF-SHA-256(master key, salt origin, info "postern-tail-v1"). */
export function tailKey(master: Buffer, origin: string): Buffer {
  return derive(master, origin, "postern-tail-v1");
}

/** Key that wraps day keys: HKDF-SHA-256(master key, salt origin, info "postern-wrap-v1"). */
export function wrapKey(master: Buffer, origin: string): KeyObject {
  return createSecretKey(derive(master, origin, "postern-wrap-v1"));
}

/** Reads `master.key`. Throws AuditOpenError. */
export function readMasterKey(folder: string): Buffer {
  const path = join(folder, "master.key");
  const master = strictBase64(readText(path).trim());
  if (master === null || master.length !== 32)
    throw new AuditOpenError("AUDIT_KEYS", `${path} does not hold 32 bytes of base64`);
  return master;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new AuditOpenError("AUDIT_KEYS", `cannot read ${path}: restore it from your backup of the keys`, {
      cause: error,
    });
  }
}

/** The raw 32 bytes of an Ed25519 public key: the end of its SubjectPublicKeyInfo (RFC 8410). */
function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" }).subarray(-32);
}

/**
 * Reads the keys from `folder`, or makes them when the folder has none and `create` allows it (a log that has records never
 * gets new keys silently). Throws AuditOpenError AUDIT_KEYS.
 */
export function loadKeys(folder: string, origin: string, create: boolean): LogKeys {
  const signingPath = join(folder, "signing.key");
  const masterPath = join(folder, "master.key");
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (create && !existsSync(signingPath)) {
      const { privateKey } = generateKeyPairSync("ed25519");
      writeNewFile(signingPath, privateKey.export({ format: "pem", type: "pkcs8" }).toString(), 0o600);
    }
    if (create && !existsSync(masterPath))
      writeNewFile(masterPath, `${randomBytes(32).toString("base64")}\n`, 0o600);
  } catch (error) {
    throw new AuditOpenError("AUDIT_KEYS", `cannot make keys in ${folder}`, { cause: error });
  }
  const master = readMasterKey(folder);
  const signing = readSigningKey(signingPath);
  const vkey = publicText(origin, signing);
  const texts = keepHistory(folder, vkey, create);
  const ring = texts.map((text) => {
    const key = parseVerifierKey(text);
    if (!key.ok || key.value.name !== origin)
      throw new AuditOpenError(
        "AUDIT_KEYS",
        `${join(folder, "log.vkeys")} holds what is no key of this log: restore it from your backup of the keys`,
      );
    return key.value;
  });
  const first = texts[0] ?? vkey;
  return { signing, vkey, first, ring, wrap: wrapKey(master, origin), tail: tailKey(master, origin) };
}

/** Reads an Ed25519 private key in PEM. Throws AuditOpenError. */
export function readSigningKey(path: string): KeyObject {
  const pem = readText(path);
  let signing: KeyObject;
  try {
    signing = createPrivateKey(pem);
  } catch {
    throw new AuditOpenError("AUDIT_KEYS", `${path} is not a private key in PEM`);
  }
  if (signing.asymmetricKeyType !== "ed25519")
    throw new AuditOpenError("AUDIT_KEYS", `${path} is not an Ed25519 key`);
  return signing;
}

/** The verifier key text of a private key for the log `origin`. */
export function publicText(origin: string, signing: KeyObject): string {
  return formatVerifierKey(origin, rawPublicKey(createPublicKey(signing)));
}

/** The public keys of the log so far as `folder` holds them: `log.vkeys`, or the one in `log.vkey` of a log whose key never changed. */
export function readKeyHistory(folder: string): string[] {
  const list = join(folder, "log.vkeys");
  if (existsSync(list))
    return readText(list)
      .split("\n")
      .filter((line) => line !== "");
  const only = join(folder, "log.vkey");
  return existsSync(only) ? [readText(only).trim()] : [];
}

/** `log.vkey` is the first key for ever; `log.vkeys` appears with the second one. Gives all of them, `vkey` last. */
function keepHistory(folder: string, vkey: string, create: boolean): string[] {
  const known = readKeyHistory(folder);
  if (known.includes(vkey)) return known.slice(0, known.indexOf(vkey) + 1);
  if (!create)
    throw new AuditOpenError(
      "AUDIT_KEYS",
      `${join(folder, "log.vkey")} is not the public key of ${join(folder, "signing.key")} and this log`,
    );
  rmSync(join(folder, "log.vkeys"), { force: true });
  replaceFile(join(folder, "log.vkey"), `${vkey}\n`);
  return [vkey];
}

/** Where the key that is to sign next waits until the log has certified it. */
export function nextKeyPath(folder: string): string {
  return join(folder, "signing.next.key");
}

/** Makes the next signing key, unless one waits already, and gives it. Throws AuditOpenError. */
export function prepareNextKey(folder: string): KeyObject {
  const path = nextKeyPath(folder);
  try {
    if (!existsSync(path)) {
      const { privateKey } = generateKeyPairSync("ed25519");
      writeNewFile(path, privateKey.export({ format: "pem", type: "pkcs8" }).toString(), 0o600);
    }
  } catch (error) {
    throw new AuditOpenError("AUDIT_KEYS", `cannot make a key in ${folder}`, { cause: error });
  }
  return readSigningKey(path);
}

/**
 * The log has certified the next key: it takes the place of the present one, which is gone then. The list of public keys
 * first: a crash in between leaves the old key in use, and the change is made once more. Throws what the file system throws.
 */
export function adoptNextKey(folder: string, current: string, next: string): void {
  const history = readKeyHistory(folder);
  const known = history.slice(0, history.indexOf(current) + 1);
  replaceDurably(join(folder, "log.vkeys"), `${[...known, next].join("\n")}\n`, 0o644);
  renameSync(nextKeyPath(folder), join(folder, "signing.key"));
  syncFolder(folder);
}

function dayAad(origin: string, day: string): Buffer {
  return Buffer.from(`postern-day-key-v1\n${origin}\n${day}`, "utf8");
}

function dayPath(logDir: string, day: string): string {
  return join(logDir, "keys", `${day}.key`);
}

/** The day's key, made and stored (durably) when there is none yet. Throws what the file system throws, or AuditOpenError when the file does not open under the master key. */
export function dayKey(logDir: string, origin: string, wrap: KeyObject, day: string): KeyObject {
  const known = readDayKey(logDir, origin, wrap, day);
  if (known !== null) return known;
  const key = randomBytes(32);
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", wrap, nonce).setAAD(dayAad(origin, day));
  const body = Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  mkdirSync(join(logDir, "keys"), { recursive: true, mode: 0o700 });
  writeNewFile(dayPath(logDir, day), `${body.toString("base64")}\n`, 0o600);
  return createSecretKey(key);
}

/** The day's key; null when it was destroyed (or never was). Throws AuditOpenError when the file does not open under the master key. */
export function readDayKey(logDir: string, origin: string, wrap: KeyObject, day: string): KeyObject | null {
  const path = dayPath(logDir, day);
  if (!existsSync(path)) return null;
  const body = strictBase64(readText(path).trim());
  if (body === null || body.length !== 60)
    throw new AuditOpenError("AUDIT_KEYS", `${path} is not a wrapped key`);
  try {
    const decipher = createDecipheriv("aes-256-gcm", wrap, body.subarray(0, 12));
    decipher.setAAD(dayAad(origin, day)).setAuthTag(body.subarray(44));
    return createSecretKey(Buffer.concat([decipher.update(body.subarray(12, 44)), decipher.final()]));
  } catch {
    throw new AuditOpenError("AUDIT_KEYS", `${path} does not open under this master key`);
  }
}
