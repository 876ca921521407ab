/** `listen:` and `tls:` → listeners. Tokens cross no network in the clear. */
import type { ListenerSettings, TlsSettings } from "../../gateway/settings.ts";
import { valueAt } from "../explain.ts";
import type { Path } from "../problem.ts";
import {
  defaultAddress,
  type ListenerInput,
  oneListener,
  publicUrl,
  tls as tlsSchema,
} from "../schema/root.ts";
import { tcpAddress } from "../schema/scalars.ts";
import { type Address, isLoopback, isSafeUrl, parseAddress } from "../units.ts";
import { type Context, isGiven, readNamed, take, takeItems } from "./context.ts";
import { checkCertificates, checkForTls, checkPrivateKey, warnOfDates } from "./pem.ts";

export interface Listening {
  readonly listeners: readonly ListenerSettings[];
  readonly http: { readonly host: string; readonly port: number } | null;
  /** Origin of the http listener as browsers know it, without a slash at the end; null: its own address. */
  readonly publicUrl: string | null;
}

export function buildListen(context: Context): Listening {
  const base: Path = ["listen", "postgres"];
  const listeners: ListenerSettings[] = [];
  const taken = new Set<string>();
  const add = (input: ListenerInput | null, path: Path) => {
    const settings = input === null ? null : buildListener(context, input, path);
    if (settings === null) return;
    claim(context, taken, settings.address, path);
    listeners.push(settings);
  };
  if (!isGiven(context, base)) add(defaultAddress, base);
  else if (Array.isArray(valueAt(context.raw, base)))
    for (const [i, input] of takeItems(context, base, oneListener).entries()) add(input, [...base, i]);
  else add(take(context, base, oneListener), base);
  const url = isGiven(context, ["listen", "public_url"])
    ? take(context, ["listen", "public_url"], publicUrl)
    : null;
  return {
    listeners,
    http: buildHttp(context, taken),
    publicUrl: url === null ? null : new URL(url).origin,
  };
}

function buildListener(context: Context, input: ListenerInput, path: Path): ListenerSettings | null {
  const options = typeof input === "string" ? null : input;
  const text = typeof input === "string" ? input : input.address;
  const addressPath = options === null ? path : [...path, "address"];
  const address = parseAddress(text);
  if (address === null) return null;
  const local = isLocal(address);
  refuseOpenAddress(context, address, addressPath);
  const auth = [...new Set(options?.auth ?? (["password"] as const))];
  if (options?.tls === "required" && "path" in address)
    context.problem([...path, "tls"], "a Unix socket carries no TLS", "optional");
  else if (options?.tls === "required" && !isGiven(context, ["tls"]))
    context.problem(
      [...path, "tls"],
      "TLS is required here, but there is no certificate",
      "tls: { cert, key } in this file",
    );
  if (auth.includes("oauthbearer") && !hasDiscoverableProvider(context))
    context.problem(
      [...path, "auth"],
      "oauthbearer needs a provider that clients can discover",
      "an oidc provider whose issuer is an https URL",
    );
  // libpq takes the first SASL mechanism it knows or fails, so that the gateway cannot offer two ways at once.
  // A client that shows a token by SCRAM names it as its user: that one way can stand beside another.
  const asked = auth.filter((way) => way !== "cert" && way !== "scram");
  if (asked.length > 1)
    context.warning(
      [...path, "auth"],
      `only the first way, ${asked[0]}, is offered`,
      "one way for each listener (and cert or scram, for those who show it)",
    );
  if (auth.includes("cert")) checkCertificateAuth(context, "path" in address, [...path, "auth"]);
  return { address, auth, tls: options?.tls ?? (local ? "optional" : "required") };
}

function checkCertificateAuth(context: Context, unix: boolean, path: Path): void {
  if (unix || !isGiven(context, ["tls", "client_ca"]))
    context.problem(
      path,
      unix ? "a Unix socket carries no certificates" : "cert needs authorities of client certificates",
      unix ? "password or oauthbearer" : "tls: { client_ca: FILE } in this file",
    );
  const providers = valueAt(context.raw, ["identity", "providers"]);
  const mapped = Array.isArray(providers) && providers.some((one) => valueAt(one, ["type"]) === "mtls");
  if (!mapped) context.problem(path, "no provider says who a certificate is", "a provider with type: mtls");
}

function buildHttp(context: Context, taken: Set<string>): Listening["http"] {
  const text = isGiven(context, ["listen", "http"]) ? take(context, ["listen", "http"], tcpAddress) : null;
  const address = text === null ? null : parseAddress(text);
  if (address === null || "path" in address) return null;
  refuseOpenAddress(context, address, ["listen", "http"]);
  claim(context, taken, address, ["listen", "http"]);
  return address;
}

function refuseOpenAddress(context: Context, address: Address, path: Path): void {
  if (isLocal(address) || isGiven(context, ["tls"])) return;
  context.problem(
    path,
    "other machines can reach this address, and there is no TLS",
    "a loopback address such as 127.0.0.1, or tls: { cert, key } in this file",
  );
}

function isLocal(address: Address): boolean {
  return "path" in address || isLoopback(address.host);
}

function claim(context: Context, taken: Set<string>, address: Address, path: Path): void {
  if ("port" in address && address.port === 0) return;
  const name = "path" in address ? address.path : `${address.host.toLowerCase()}:${address.port}`;
  if (taken.has(name)) context.problem(path, "this address is given twice", "each address once");
  taken.add(name);
}

/** RFC 7628: the client is sent to the issuer's discovery document, which it must be able to trust. */
function hasDiscoverableProvider(context: Context): boolean {
  const providers = valueAt(context.raw, ["identity", "providers"]);
  if (!Array.isArray(providers)) return true; // said elsewhere
  return providers.some((provider) => {
    const issuer = valueAt(provider, ["issuer"]);
    return valueAt(provider, ["type"]) === "oidc" && typeof issuer === "string" && isSafeUrl(issuer);
  });
}

/** Reads certificate, key and client authorities now. null: none given, or a problem was noted. */
export async function buildTls(context: Context): Promise<TlsSettings | null> {
  if (!isGiven(context, ["tls"])) return null;
  const input = take(context, ["tls"], tlsSchema);
  if (input === null) return null;
  const cert = await readNamed(context, ["tls", "cert"], input.cert, "a readable PEM file");
  const key = await readNamed(context, ["tls", "key"], input.key, "a readable PEM file");
  const certificate = cert === "" ? null : checkCertificates(context, ["tls", "cert"], cert);
  if (certificate !== null) warnOfDates(context, ["tls", "cert"], certificate);
  if (key !== "" && checkPrivateKey(context, ["tls", "key"], key, certificate) && certificate !== null)
    checkForTls(context, ["tls", "cert"], cert, key);
  let clientCa: string | null = null;
  if (input.client_ca !== undefined) {
    clientCa = await readNamed(context, ["tls", "client_ca"], input.client_ca, "a readable PEM file");
    if (clientCa !== "") checkCertificates(context, ["tls", "client_ca"], clientCa);
  }
  return { cert, key, clientCa };
}
