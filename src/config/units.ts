/** The small languages of postern.yaml: sizes, durations, addresses. Pure. */
import { BlockList, isIP } from "node:net";

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};
const timeUnits: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** "4MiB", "512KiB", "1048576" → bytes; null when it is not a size. */
export function parseSize(text: string): number | null {
  const match = /^(\d{1,15})(B|KiB|MiB|GiB)?$/.exec(text);
  if (match === null) return null;
  const bytes = Number(match[1]) * (sizeUnits[match[2] ?? ""] ?? 1);
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** "30s", "15m", "8h", "1d" → seconds; null when it is not a duration. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  if (match === null) return null;
  return Number(match[1]) * (timeUnits[match[2] ?? ""] ?? 1);
}

export type Address = { readonly host: string; readonly port: number } | { readonly path: string };

/** Longest path of a Unix socket: sockaddr_un.sun_path on Linux holds 108 bytes with its NUL. */
const maxSocketPath = 107;

/** "127.0.0.1:6432", "[::1]:6432", "localhost:6432", "unix:/run/postern/.s.PGSQL.6432"; null when it is no address. */
export function parseAddress(text: string): Address | null {
  if (text.startsWith("unix:")) {
    const path = text.slice(5);
    if (!path.startsWith("/") || path.includes("\0") || Buffer.byteLength(path) > maxSocketPath) return null;
    return { path };
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+)):(\d{1,5})$/.exec(text);
  if (match === null) return null;
  const port = Number(match[3]);
  if (port > 65_535) return null;
  const bracketed = match[1];
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? { host: bracketed, port } : null;
  const host = match[2] ?? "";
  return isHostName(host) ? { host, port } : null;
}

/** A DNS name (RFC 1123) or an IPv4 address. */
export function isHostName(host: string): boolean {
  if (isIP(host) !== 0) return true;
  if (host.length > 253 || /^[\d.]+$/.test(host)) return false;
  return /^(?!-)[0-9A-Za-z_-]{1,63}(?<!-)(\.(?!-)[0-9A-Za-z_-]{1,63}(?<!-))*\.?$/.test(host);
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Only this machine can reach it: 127.0.0.0/8, ::1, and the name localhost (RFC 6761 section 6.3). */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  const family = isIP(name);
  if (family === 0) return name === "localhost";
  return loopback.check(name, family === 6 ? "ipv6" : "ipv4");
}

/** An https URL, or http on loopback: what keys and metadata may be fetched from. No credentials in it. */
export function isSafeUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== "" || url.password !== "") return false;
  if (url.protocol === "https:") return true;
  return url.protocol === "http:" && isLoopback(url.hostname.replace(/^\[|\]$/g, ""));
}
