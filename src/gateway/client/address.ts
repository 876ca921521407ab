/** Where a client is, as far as a socket tells. */
import { isIPv4 } from "node:net";

/** Shown in place of an address for clients on a Unix socket, as PostgreSQL's log does. */
export const unixPeer = "[local]";

/** An address in one spelling: IPv4 inside IPv6 ("::ffff:10.0.0.1", what a socket bound to "::" reports) as IPv4. */
export function plainAddress(address: string): string {
  const tail = address.slice("::ffff:".length);
  return address.toLowerCase().startsWith("::ffff:") && isIPv4(tail) ? tail : address;
}

/** Whether an address never leaves the machine: 127.0.0.0/8 or ::1 (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3). */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === "::1" || (isIPv4(plain) && plain.startsWith("127."));
}
