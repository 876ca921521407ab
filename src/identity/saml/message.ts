/** From the text of a SAML message to an assertion that its issuer signed, in the form in which it was signed. */
import { IdentityError, quote } from "../errors.ts";
import type { MetadataSource } from "./metadatasource.ts";
import { ns, success } from "./names.ts";
import { checkSignatureForm, verifiedText } from "./signature.ts";
import { attribute, childrenOf, descendants, messageLimits, readXml, type XmlElement } from "./xml.ts";

/** Decoded. A message with 150 groups has about 30 kB. */
const maxMessageBytes = 262_144;

export interface Message {
  readonly xml: string;
  readonly root: XmlElement;
}

/**
 * Decodes a message (base64 or base64url) and reads it. Throws IdentityError TOKEN_MALFORMED or TOKEN_TOO_LARGE.
 */
export function decodeMessage(text: string): Message {
  if (text.length > (maxMessageBytes * 4) / 3 + 4)
    throw new IdentityError("TOKEN_TOO_LARGE", `the SAML message is longer than ${maxMessageBytes} bytes`);
  // Browsers and providers break lines (RFC 2045).
  const packed = text.replaceAll(/[\r\n]/g, "");
  if (packed === "" || !/^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)={0,2}$/.test(packed))
    throw new IdentityError("TOKEN_MALFORMED", "SAML: not base64");
  let decoded: string;
  try {
    decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(packed, packed.includes("-") || packed.includes("_") ? "base64url" : "base64"),
    );
  } catch {
    throw new IdentityError("TOKEN_MALFORMED", "SAML: not UTF-8");
  }
  // XML 1.0 section 2.11. The library's parser does not do this, and the signature was made over the normalised text.
  const xml = decoded.replaceAll(/\r\n?/g, "\n");
  return { xml, root: readXml(xml, messageLimits) };
}

/** The issuer a message names, unverified; null: none. */
export function namedIssuer({ root }: Message): string | null {
  const assertion =
    root.name === "Assertion" ? root : root.children.find((child) => child.name === "Assertion");
  const issuer = [assertion, root]
    .filter((element) => element !== undefined)
    .flatMap((element) => childrenOf(element, ns.assertion, "Issuer"))[0];
  return issuer?.text ?? null;
}

export interface ResponseRules {
  /** The address the response must name as its destination. */
  readonly destination: readonly string[];
  readonly issuer: string;
  /** null: any, or none. */
  readonly request: string | null;
}

/** Checks what a response says around its assertion (saml-core section 3.2.2, saml-bindings section 3.5.5.2). Nothing of it is believed. */
export function checkResponse(root: XmlElement, rules: ResponseRules): void {
  if (root.namespace !== ns.protocol || root.name !== "Response" || attribute(root, "Version") !== "2.0")
    throw new IdentityError("TOKEN_TYPE", "SAML: not a response of SAML 2.0");
  const destination = attribute(root, "Destination");
  if (destination === null || !rules.destination.includes(destination))
    throw new IdentityError(
      "TOKEN_RECIPIENT",
      `SAML: the response's Destination is ${destination === null ? "missing" : quote(destination)}`,
    );
  const [issuer] = childrenOf(root, ns.assertion, "Issuer");
  if (issuer !== undefined && issuer.text !== rules.issuer)
    throw new IdentityError(
      "TOKEN_ISSUER",
      `SAML: the response's issuer ${quote(issuer.text)} is another one`,
    );
  const status = childrenOf(root, ns.protocol, "Status").flatMap((one) =>
    childrenOf(one, ns.protocol, "StatusCode"),
  );
  const code = status.map((one) => attribute(one, "Value") ?? "");
  if (code.length !== 1 || code[0] !== success)
    throw new IdentityError(
      "TOKEN_TYPE",
      `SAML: the provider answers ${quote(code[0] ?? "without a status")}`,
    );
  if (rules.request !== null && attribute(root, "InResponseTo") !== rules.request)
    throw new IdentityError("TOKEN_REQUEST", "SAML: the response answers another request, or none");
}

/**
 * The assertion of a message as its provider signed it. There may be one assertion only, as the root or right below a response, and no
 * encrypted one, so that no wrapping can make a reader look at another than the signed one.
 * @param signed "assertion": the assertion itself must be signed; "response": a signature on the response around it will do.
 * Throws IdentityError.
 */
export async function signedAssertion(
  { xml, root }: Message,
  source: MetadataSource,
  signed: "assertion" | "response",
): Promise<XmlElement> {
  if (descendants(root, "EncryptedAssertion").length > 0)
    throw new IdentityError(
      "TOKEN_TYPE",
      "SAML: the assertion is encrypted, and Postern has no key for that",
    );
  const assertions = descendants(root, "Assertion");
  const [assertion] = assertions;
  if (assertion === undefined || assertions.length !== 1 || assertion.namespace !== ns.assertion)
    throw new IdentityError("TOKEN_MALFORMED", `SAML: ${assertions.length} assertions, one expected`);
  const bare = assertion === root;
  const position = root.children.indexOf(assertion);
  if (!bare && (position < 0 || root.name !== "Response" || root.namespace !== ns.protocol))
    throw new IdentityError("TOKEN_MALFORMED", "SAML: the assertion is not right below the response");
  refuseTwins(root);
  const outer = childrenOf(root, ns.signature, "Signature").length > 0;
  let believed: XmlElement | null = null;
  // A signature that is there must hold, also where another one would be enough.
  if (!bare && outer) {
    const response = await verify(xml, root, [], source);
    const [inside] = childrenOf(response, ns.assertion, "Assertion");
    if (signed === "response") believed = inside ?? null;
  }
  const own = childrenOf(assertion, ns.signature, "Signature").length > 0;
  if (own || believed === null) believed = await verify(xml, assertion, bare ? [] : [position], source);
  return believed;
}

/** Two elements with one ID: a signature's reference could mean either. */
function refuseTwins(root: XmlElement): void {
  const seen = new Set<string>();
  const visit = (element: XmlElement): void => {
    for (const { name, value } of element.attributes) {
      if (name.toLowerCase() !== "id") continue;
      if (seen.has(value)) throw new IdentityError("TOKEN_MALFORMED", "SAML: two elements have the same ID");
      seen.add(value);
    }
    element.children.forEach(visit);
  };
  visit(root);
}

async function verify(
  xml: string,
  element: XmlElement,
  path: readonly number[],
  source: MetadataSource,
): Promise<XmlElement> {
  checkSignatureForm(element);
  const { certificates } = await source.current();
  let text = await verifiedText(xml, path, certificates);
  // It may be a new certificate: ask once more, no more often than the source allows.
  if (text === null && (await source.renew())) {
    const renewed = (await source.current()).certificates;
    if (renewed.some((certificate) => !certificates.includes(certificate)))
      text = await verifiedText(xml, path, renewed);
  }
  if (text === null) throw new IdentityError("TOKEN_SIGNATURE", "SAML: the signature does not verify");
  const believed = readXml(text, messageLimits);
  if (attribute(believed, "ID") !== attribute(element, "ID") || believed.name !== element.name)
    throw new IdentityError("TOKEN_SIGNATURE", "SAML: the signature covers another element");
  return believed;
}
