/** What an identity provider's metadata say (saml-metadata-2.0-os sections 2.3 and 2.4). */
import { X509Certificate } from "node:crypto";
import { IdentityError } from "../errors.ts";
import { urlFault } from "../fetch.ts";
import { bindings, ns } from "./names.ts";
import { attribute, childrenOf, metadataLimits, readXml, type XmlElement } from "./xml.ts";

const maxCertificates = 16;

export interface IdpMetadata {
  readonly entityId: string;
  /** PEM, those meant for signing; several while the provider changes its certificate. */
  readonly certificates: readonly string[];
  /** Where a login begins; null: the provider does not take this binding. */
  readonly redirect: string | null;
  readonly post: string | null;
  /** Milliseconds since the epoch. */
  readonly validUntil: number | null;
}

/**
 * Reads metadata. `entityId`: which of several providers in it is meant; null: there is only one.
 * Throws SyntaxError saying what is missing.
 */
export function readMetadata(text: string, entityId: string | null): IdpMetadata {
  let root: XmlElement;
  try {
    root = readXml(text, metadataLimits);
  } catch (error) {
    throw new SyntaxError(error instanceof IdentityError ? error.cause : "the metadata cannot be read");
  }
  const chain: XmlElement[] = [];
  const found: { entity: XmlElement; chain: readonly XmlElement[] }[] = [];
  const visit = (element: XmlElement): void => {
    if (element.namespace !== ns.metadata) return;
    chain.push(element);
    if (element.name === "EntityDescriptor" && isIdp(element))
      found.push({ entity: element, chain: [...chain] });
    else if (element.name === "EntitiesDescriptor") for (const child of element.children) visit(child);
    chain.pop();
  };
  visit(root);
  const matching = found.filter(
    ({ entity }) => entityId === null || attribute(entity, "entityID") === entityId,
  );
  const [chosen] = matching;
  if (chosen === undefined)
    throw new SyntaxError("the metadata describe no identity provider (of this entity_id)");
  if (matching.length > 1)
    throw new SyntaxError("the metadata describe several identity providers: say which with entity_id");
  const { entity } = chosen;
  const id = attribute(entity, "entityID") ?? "";
  if (id === "" || id.length > 1024) throw new SyntaxError("the metadata name no entityID");
  const [descriptor] = childrenOf(entity, ns.metadata, "IDPSSODescriptor");
  if (descriptor === undefined) throw new SyntaxError("the metadata have no IDPSSODescriptor");
  const ends = [...chosen.chain, descriptor].flatMap((element) => {
    const until = attribute(element, "validUntil");
    if (until === null) return [];
    const time = Date.parse(until);
    if (Number.isNaN(time)) throw new SyntaxError("the metadata's validUntil is not a time");
    return [time];
  });
  return {
    entityId: id,
    certificates: signingCertificates(descriptor),
    redirect: location(descriptor, bindings.redirect),
    post: location(descriptor, bindings.post),
    validUntil: ends.length === 0 ? null : Math.min(...ends),
  };
}

function isIdp(entity: XmlElement): boolean {
  return childrenOf(entity, ns.metadata, "IDPSSODescriptor").length > 0;
}

/** KeyDescriptor without `use` is for both (section 2.4.1.1). Keys that cannot be used are passed over; none left is an error. */
function signingCertificates(descriptor: XmlElement): readonly string[] {
  const texts = childrenOf(descriptor, ns.metadata, "KeyDescriptor")
    .filter((key) => (attribute(key, "use") ?? "signing") === "signing")
    .flatMap((key) => childrenOf(key, ns.signature, "KeyInfo"))
    .flatMap((info) => childrenOf(info, ns.signature, "X509Data"))
    .flatMap((data) => childrenOf(data, ns.signature, "X509Certificate"))
    .map((certificate) => certificate.text);
  const usable = new Set<string>();
  for (const text of texts.slice(0, maxCertificates)) {
    try {
      const certificate = new X509Certificate(Buffer.from(text, "base64"));
      const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
      const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {};
      // As for JWTs: RSA below 2048 bits is no key, nor one whose exponent changes nothing.
      if (asymmetricKeyType === "rsa" && modulusLength >= 2048 && publicExponent >= 3n)
        usable.add(certificate.toString());
    } catch {
      // Not a certificate: as good as not there.
    }
  }
  if (usable.size === 0)
    throw new SyntaxError("the metadata hold no signing certificate with an RSA key of 2048 bits or more");
  return [...usable];
}

function location(descriptor: XmlElement, binding: string): string | null {
  const service = childrenOf(descriptor, ns.metadata, "SingleSignOnService").find(
    (one) => attribute(one, "Binding") === binding,
  );
  const url = service === undefined ? null : attribute(service, "Location");
  if (url !== null && urlFault(url) !== null)
    throw new SyntaxError(`the metadata's SingleSignOnService: ${urlFault(url) ?? ""}`);
  return url;
}
