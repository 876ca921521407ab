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
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AuditOpenError } from "./errors.ts";
import { replaceFile, writeNewFile } from "./files.ts";
import { formatVerifierKey, strictBase64 } from "./verify/note.ts";

export interface LogKeys {
  readonly signing: KeyObject;
  /** C2SP verifier key text, without a newline; its name is the log's origin. */
  readonly vkey: string;
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
  const pem = readText(signingPath);
  const master = readMasterKey(folder);
  let signing: KeyObject;
  try {
    signing = createPrivateKey(pem);
  } catch {
    throw new AuditOpenError("AUDIT_KEYS", `${signingPath} is not a private key in PEM`);
  }
  if (signing.asymmetricKeyType !== "ed25519")
    throw new AuditOpenError("AUDIT_KEYS", `${signingPath} is not an Ed25519 key`);
  const vkey = formatVerifierKey(origin, rawPublicKey(createPublicKey(signing)));
  const vkeyPath = join(folder, "log.vkey");
  if (!existsSync(vkeyPath) || readText(vkeyPath) !== `${vkey}\n`) {
    if (!create)
      throw new AuditOpenError(
        "AUDIT_KEYS",
        `${vkeyPath} is not the public key of ${signingPath} and this log`,
      );
    replaceFile(vkeyPath, `${vkey}\n`);
  }
  return { signing, vkey, wrap: wrapKey(master, origin), tail: tailKey(master, origin) };
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
