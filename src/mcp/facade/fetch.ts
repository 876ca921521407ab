/**
 * Fetching a client's metadata document from an address that anybody may have named: https only, to public addresses only, without
 * redirects, small and quick (OAuth Client ID Metadata Document, "Security Considerations": server-side request forgery).
 */
import { lookup } from "node:dns";
import { request } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";

const maxBytes = 16 * 1024;
const timeoutMs = 4_000;

/** Addresses that are not the public Internet's (IANA special-purpose registries). */
const closed = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  closed.addSubnet(net, bits, "ipv4");
/** Of IPv6 only global unicast is open, without what stands for other addresses in it. */
const open6 = new BlockList();
open6.addSubnet("2000::", 3, "ipv6");
for (const [net, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  closed.addSubnet(net, bits, "ipv6");

/** Whether an address belongs to the public Internet. */
export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !closed.check(address, "ipv4");
    case 6:
      return open6.check(address, "ipv6") && !closed.check(address, "ipv6");
    default:
      return false;
  }
}

/** Why an address may not be fetched; null: it may be tried. */
export function addressFault(text: string): string | null {
  if (!URL.canParse(text)) return "it is no URL";
  const url = new URL(text);
  if (url.protocol !== "https:") return "it is not https";
  if (url.username !== "" || url.password !== "" || url.hash !== "")
    return "it holds credentials or a fragment";
  if (url.port !== "") return "it names a port";
  if (url.pathname === "/" || /(?:^|\/)\.{1,2}(?:\/|$)/.test(url.pathname))
    return "it has no path of its own";
  if (url.href !== text) return "it is not in its normal form";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0) return "it names an address instead of a host";
  return null;
}

/** Resolves a name to public addresses alone: what is connected to is what was looked at. */
const publicLookup: LookupFunction = (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, found) => {
    if (error !== null) return done(error, "", 0);
    const [first] = found;
    if (first === undefined || !found.every(({ address }) => isPublic(address)))
      return done(new Error("the host is not on the public Internet"), "", 0);
    if (options.all === true) done(null, found);
    else done(null, first.address, first.family);
  });
};

export type FetchDocument = (url: string) => Promise<unknown>;

/** GETs a JSON document. Rejects for anything but a complete answer 200 of JSON; the reason holds nothing of the answer. */
export const fetchDocument: FetchDocument = (url) =>
  new Promise((resolve, reject) => {
    const fault = addressFault(url);
    if (fault !== null) {
      reject(new Error(fault));
      return;
    }
    const asked = request(
      url,
      {
        lookup: publicLookup,
        agent: false,
        headers: { accept: "application/json", "user-agent": "postern" },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const type = response.headers["content-type"] ?? "";
        if (response.statusCode !== 200 || !/^application\/(?:[\w.+-]+\+)?json(?:;|$)/.test(type)) {
          asked.destroy();
          reject(new Error("the answer is no JSON document"));
          return;
        }
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxBytes) asked.destroy(new Error("the document is too large"));
          else chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
          } catch {
            reject(new Error("the document is no JSON"));
          }
        });
      },
    );
    asked.on("error", reject);
    asked.end();
  });
