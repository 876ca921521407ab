/** Client certificates: SPIFFE X.509-SVIDs, and names of other authorities (docs/identity.md). */
import { X509Certificate } from "node:crypto";
import type { Principal } from "../facts/principal.ts";
import { isText, readGroups } from "./claims.ts";
import { compileDerivation, type Derivation } from "./derive.ts";
import { IdentityError, quote } from "./errors.ts";
import { deepFreeze, type JsonObject } from "./json.ts";
import { compileKinds, type KindOf } from "./kinds.ts";
import type { MtlsProviderSettings } from "./settings.ts";
import { spiffeId } from "./spiffe.ts";

/** A certificate that the listener's TLS has verified against its `client_ca`. */
export interface ClientCertificate {
  readonly der: Uint8Array;
}

export interface CertificateProvider {
  readonly settings: MtlsProviderSettings;
  readonly kindOf: KindOf;
  readonly derivation: Derivation;
}

/** Throws IdentityConfigError for rules that do not compile. */
export function certificateProvider(settings: MtlsProviderSettings): CertificateProvider {
  return {
    settings,
    kindOf: compileKinds(settings.name, settings.kinds),
    derivation: compileDerivation(settings.name, settings),
  };
}

interface Names {
  readonly uri: readonly string[];
  readonly dns: readonly string[];
  readonly email: readonly string[];
  readonly cn: readonly string[];
}

/** What a verified certificate is known by, for binding tokens to it. `expires`: seconds since the epoch. */
export function certificateFacts(certificate: ClientCertificate): {
  /** base64url SHA-256 of the DER form. */
  readonly thumbprint: string;
  readonly expires: number;
} {
  const parsed = new X509Certificate(certificate.der);
  return {
    thumbprint: Buffer.from(parsed.fingerprint256.replaceAll(":", ""), "hex").toString("base64url"),
    expires: Math.floor(parsed.validToDate.getTime() / 1000),
  };
}

/**
 * The principal of a certificate: of the first provider whose name it carries in its domains. `now`: ms since the epoch.
 * Throws IdentityError CERTIFICATE_REFUSED, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_CLAIMS, TOKEN_NOT_ADMITTED.
 */
export function principalOf(
  providers: readonly CertificateProvider[],
  certificate: ClientCertificate,
  now: number,
): Principal {
  const parsed = new X509Certificate(certificate.der);
  // The handshake looked at the dates, but a session may be resumed long after it.
  if (now >= parsed.validToDate.getTime())
    throw new IdentityError("TOKEN_EXPIRED", "the client certificate has expired");
  if (now + 30_000 < parsed.validFromDate.getTime())
    throw new IdentityError("TOKEN_NOT_YET_VALID", "the client certificate is not valid yet");
  if (parsed.ca) throw refused("an authority's certificate is nobody's name");
  const names = readNames(parsed);
  let why = "no provider of type mtls takes it";
  for (const provider of providers) {
    const found = subjectOf(provider.settings, names);
    if (typeof found === "string") return toPrincipal(provider, parsed, names, found);
    why = found.why;
  }
  throw refused(why);
}

function subjectOf(settings: MtlsProviderSettings, names: Names): string | { readonly why: string } {
  const { subject, domains } = settings;
  if (subject === "spiffe") {
    // X.509-SVID section 2: one URI, and that a SPIFFE ID.
    const [uri] = names.uri;
    const id = uri === undefined || names.uri.length !== 1 ? null : spiffeId(uri);
    if (id === null) return { why: "it carries not exactly one SPIFFE ID" };
    if (domains.length > 0 && !domains.includes(id.trustDomain))
      return { why: `trust domain ${quote(id.trustDomain)} is not configured` };
    return id.text;
  }
  const list = names[subject];
  const [name] = list;
  if (name === undefined || list.length !== 1) return { why: `it carries not exactly one ${subject} name` };
  if (name.includes("*")) return { why: "its name holds a wildcard" };
  if (subject === "cn") return name;
  const lower = name.toLowerCase();
  const domain = subject === "email" ? lower.slice(lower.lastIndexOf("@") + 1) : lower;
  const inside = domains.some((one) =>
    subject === "email" ? domain === one : domain === one || domain.endsWith(`.${one}`),
  );
  if (domains.length > 0 && !inside)
    return { why: `${subject} name ${quote(name)} is in no configured domain` };
  return lower;
}

function toPrincipal(
  provider: CertificateProvider,
  certificate: X509Certificate,
  names: Names,
  subject: string,
): Principal {
  const { settings, derivation, kindOf } = provider;
  if (!isText(subject, 1024)) throw refused("its name is not a text of 1 to 1024 bytes");
  // Of any other name a text in the form of a SPIFFE ID is no ID: nobody vouched for its trust domain.
  const id = settings.subject === "spiffe" ? spiffeId(subject) : null;
  const fields = distinguished(certificate.subject);
  const claims: JsonObject = {
    sub: subject,
    iss: `mtls:${settings.name}`,
    dns: names.dns,
    email: names.email,
    uri: names.uri,
    cn: names.cn[0] ?? "",
    ou: fields.get("OU") ?? [],
    o: fields.get("O") ?? [],
    issuer_cn: distinguished(certificate.issuer).get("CN")?.[0] ?? "",
    serial: certificate.serialNumber.toLowerCase(),
    spiffe: id === null ? {} : { id: id.text, trust_domain: id.trustDomain, path: id.path },
  };
  const groups = derivation.groups(claims, readGroups({}, "groups"));
  derivation.admit(claims, groups);
  const [email] = names.email;
  return deepFreeze<Principal>({
    subject,
    issuer: id === null ? `mtls:${settings.name}` : `spiffe://${id.trustDomain}`,
    email: settings.subject === "email" && email !== undefined ? email : null,
    kind: kindOf(claims, groups),
    groups,
    actor: [],
    provider: settings.name,
    claims,
    token: {
      jti: certificate.serialNumber.toLowerCase(),
      sha256: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
      issued: Math.floor(certificate.validFromDate.getTime() / 1000),
      expires: Math.floor(certificate.validToDate.getTime() / 1000),
    },
  });
}

/**
 * Node writes the names as one text, and any value that could be taken for more than one as a JSON string; what does not read as such a
 * text is refused whole.
 */
function readNames(certificate: X509Certificate): Names {
  const names = { uri: [] as string[], dns: [] as string[], email: [] as string[] };
  const text = certificate.subjectAltName ?? "";
  const entry = /([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?:, |$)/y;
  for (let at = 0; at < text.length; at = entry.lastIndex) {
    entry.lastIndex = at;
    const found = entry.exec(text);
    if (found === null) throw refused("its alternative names cannot be read");
    const value = found[2] === undefined ? (found[3] ?? "") : unquote(found[2]);
    if (found[1] === "URI") names.uri.push(value);
    else if (found[1] === "DNS") names.dns.push(value);
    else if (found[1] === "email") names.email.push(value);
  }
  return { ...names, cn: distinguished(certificate.subject).get("CN") ?? [] };
}

function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    throw refused("its alternative names cannot be read");
  }
}

/** Node's form of a distinguished name: one attribute a line, a line break inside a value escaped. */
function distinguished(text: string): ReadonlyMap<string, readonly string[]> {
  const fields = new Map<string, string[]>();
  for (const line of (text ?? "").split("\n")) {
    const equals = line.indexOf("=");
    if (equals <= 0) continue;
    const name = line.slice(0, equals);
    fields.set(name, [...(fields.get(name) ?? []), line.slice(equals + 1)]);
  }
  return fields;
}

function refused(cause: string): IdentityError {
  return new IdentityError("CERTIFICATE_REFUSED", `client certificate: ${cause}`);
}
