/**
 * Under which names a listener on loopback answers. A page of a stranger can have its own name resolve to 127.0.0.1 and would then be of one
 * origin with whatever listens here (DNS rebinding): such a request still names the stranger's host. Addresses cannot be rebound.
 */
import { isIP } from "node:net";
import { isLoopback } from "../gateway/client/address.ts";

/**
 * @param address what the listener is bound to.
 * @param publicUrl where browsers reach it, by a proxy on this machine perhaps.
 * @returns whether a request with this Host header (RFC 9110 section 7.2) is meant for this listener.
 */
export function hostCheck(address: string, publicUrl: () => string | null): (host: string) => boolean {
  // Whoever listens to the network has names that we do not know, and nothing that is protected by being local.
  if (address !== "localhost" && !isLoopback(address)) return () => true;
  return (host) => {
    if (!URL.canParse(`http://${host}`)) return false;
    const { hostname } = new URL(`http://${host}`);
    if (isIP(hostname.replace(/^\[|\]$/g, "")) !== 0) return true;
    if (hostname === "localhost" || hostname.endsWith(".localhost")) return true;
    const own = publicUrl();
    return own !== null && URL.canParse(own) && new URL(own).hostname === hostname;
  };
}
