/**
 * Test authorities and certificates, written as X.509 DER by hand (RFC 5280, X.690), because a user's machine need not
 * have an openssl binary. Keys are fresh for each call; nothing touches the disk.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  readonly der: Buffer;
}

export interface Authority extends Certificate {
  issue(options?: CertificateOptions): Certificate;
}

export interface CertificateOptions {
  /** Common name of the subject; default "localhost". */
  readonly name?: string;
  /** DNS names, IP addresses, URIs and mail addresses; default localhost, 127.0.0.1 and ::1. */
  readonly hosts?: readonly string[];
  readonly key?: "rsa" | "ec" | "ed25519";
  /** Of an RSA key; default 2048. */
  readonly bits?: number;
  /** Hash of the issuer's signature; ignored for Ed25519 issuers. */
  readonly hash?: "sha1" | "sha256" | "sha384" | "sha512";
  /** Whole days from now; default -1 and 30. */
  readonly from?: number;
  readonly until?: number;
}

interface Issuer {
  readonly name: string;
  readonly kind: NonNullable<CertificateOptions["key"]>;
  readonly secret: KeyObject;
}

/** A new root authority. */
export function createAuthority(options: CertificateOptions = {}): Authority {
  const kind = options.key ?? "ec";
  const pair = newKey(kind, options.bits);
  const issuer = { name: options.name ?? "Postern test authority", kind, secret: pair.privateKey };
  const self = certify(issuer, pair, { ...options, name: issuer.name }, true);
  return {
    ...self,
    issue: (wanted = {}) => certify(issuer, newKey(wanted.key ?? "ec", wanted.bits), wanted, false),
  };
}

/** A server certificate that only vouches for itself. */
export function selfSigned(options: CertificateOptions = {}): Certificate {
  const kind = options.key ?? "ec";
  const pair = newKey(kind, options.bits);
  return certify({ name: options.name ?? "localhost", kind, secret: pair.privateKey }, pair, options, false);
}

interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

function newKey(kind: NonNullable<CertificateOptions["key"]>, bits = 2048): KeyPair {
  switch (kind) {
    case "rsa":
      return generateKeyPairSync("rsa", { modulusLength: bits });
    case "ec":
      return generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    case "ed25519":
      return generateKeyPairSync("ed25519");
    default:
      return kind satisfies never;
  }
}

function certify(
  issuer: Issuer,
  pair: KeyPair,
  options: CertificateOptions,
  authority: boolean,
): Certificate {
  const hash = options.hash ?? "sha256";
  const algorithm = signatureAlgorithm(issuer.kind, hash);
  const subject = options.name ?? "localhost";
  const hosts = options.hosts ?? ["localhost", "127.0.0.1", "::1"];
  const extensions = authority
    ? [
        extension("2.5.29.19", true, sequence(boolean(true))),
        extension("2.5.29.15", true, bits(1, Buffer.from([0x06]))),
      ]
    : [
        extension("2.5.29.19", true, sequence()),
        extension("2.5.29.15", true, bits(7, Buffer.from([0x80]))),
        extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
        ...(hosts.length > 0 ? [extension("2.5.29.17", false, sequence(...hosts.map(generalName)))] : []),
      ];
  const serial = randomBytes(12);
  serial[0] = 0x40;
  const toBeSigned = sequence(
    tagged(0xa0, tagged(0x02, Buffer.from([2]))),
    tagged(0x02, serial),
    algorithm,
    distinguishedName(issuer.name),
    sequence(time(options.from ?? -1), time(options.until ?? 30)),
    distinguishedName(subject),
    pair.publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = sign(issuer.kind === "ed25519" ? null : hash, toBeSigned, issuer.secret);
  const der = sequence(toBeSigned, algorithm, bits(0, signature));
  const lines = der.toString("base64").replaceAll(/.{64}(?=.)/g, "$&\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    der,
  };
}

/** RFC 3279/4055 (RSA, with NULL parameters), RFC 5758 (ECDSA), RFC 8410 (Ed25519). */
function signatureAlgorithm(kind: Issuer["kind"], hash: NonNullable<CertificateOptions["hash"]>): Buffer {
  const rsa = { sha1: 5, sha256: 11, sha384: 12, sha512: 13 };
  const ecdsa = { sha1: "1", sha256: "3.2", sha384: "3.3", sha512: "3.4" };
  switch (kind) {
    case "rsa":
      return sequence(oid(`1.2.840.113549.1.1.${rsa[hash]}`), tagged(0x05));
    case "ec":
      return sequence(oid(`1.2.840.10045.4.${ecdsa[hash]}`));
    case "ed25519":
      return sequence(oid("1.3.101.112"));
    default:
      return kind satisfies never;
  }
}

function generalName(host: string): Buffer {
  if (/^[a-z]+:\/\//.test(host)) return tagged(0x86, Buffer.from(host, "latin1"));
  if (host.includes("@")) return tagged(0x81, Buffer.from(host, "latin1"));
  switch (isIP(host)) {
    case 4:
      return tagged(0x87, Buffer.from(host.split(".").map(Number)));
    case 6: {
      if (host !== "::1") throw new Error("of the IPv6 addresses only ::1 is needed");
      return tagged(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1])]));
    }
    default:
      return tagged(0x82, Buffer.from(host, "latin1"));
  }
}

function distinguishedName(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(oid("2.5.4.3"), tagged(0x0c, Buffer.from(commonName)))));
}

/** GeneralizedTime is for 2050 and later; UTCTime holds until then. */
function time(days: number): Buffer {
  const text = new Date(Date.now() + days * 86_400_000).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return tagged(0x17, Buffer.from(text.slice(2)));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return tagged(0x06, Buffer.from(bytes));
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0]));
}

function bits(unused: number, bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.from([unused]), bytes);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

/** Tag, definite length, content (X.690 section 8.1). */
function tagged(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}
