/** XML signatures on SAML messages (XML Signature 1.1; saml-core section 5.4). */
import { IdentityError, quote } from "../errors.ts";
import { ns } from "./names.ts";
import { attribute, childrenOf, type XmlElement } from "./xml.ts";

const exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
const enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/** SHA-1 and HMAC are not here: the first can be forged, with the second the public certificate would be the key. */
const signatureMethods: ReadonlySet<string> = new Set([
  "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
  "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
  "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
]);
const digestMethods: ReadonlySet<string> = new Set([
  "http://www.w3.org/2001/04/xmlenc#sha256",
  "http://www.w3.org/2001/04/xmlenc#sha512",
]);

/**
 * Looks at what a signature says of itself: one reference, to the element it stands in, with the two transforms SAML allows and algorithms
 * that hold. The library verifies the signature itself; it would also accept weaker ones.
 * Throws IdentityError TOKEN_SIGNATURE or TOKEN_ALGORITHM.
 */
export function checkSignatureForm(signed: XmlElement): void {
  const signatures = childrenOf(signed, ns.signature, "Signature");
  const [signature] = signatures;
  if (signature === undefined || signatures.length !== 1)
    throw unsigned("the element is not signed, or signed twice");
  const info = only(signature, "SignedInfo");
  only(signature, "SignatureValue");
  if (childrenOf(signature, ns.signature, "Object").length > 0)
    throw unsigned("the signature carries an object");
  checkAlgorithm(only(info, "SignatureMethod"), signatureMethods);
  const canonical = attribute(only(info, "CanonicalizationMethod"), "Algorithm");
  if (canonical !== exclusive) throw unsigned("the signature's canonicalization is not the exclusive one");
  const reference = only(info, "Reference");
  const id = attribute(signed, "ID");
  if (id === null || attribute(reference, "URI") !== `#${id}`)
    throw unsigned("the signature refers to another element");
  checkAlgorithm(only(reference, "DigestMethod"), digestMethods);
  const transforms = childrenOf(only(reference, "Transforms"), ns.signature, "Transform").map((one) =>
    attribute(one, "Algorithm"),
  );
  if (transforms.length !== 2 || transforms[0] !== enveloped || transforms[1] !== exclusive)
    throw unsigned("the signature's transforms are not those of SAML");
}

function checkAlgorithm(element: XmlElement, accepted: ReadonlySet<string>): void {
  const algorithm = attribute(element, "Algorithm") ?? "";
  if (!accepted.has(algorithm))
    throw new IdentityError("TOKEN_ALGORITHM", `SAML: algorithm ${quote(algorithm)} is not accepted`);
}

function only(element: XmlElement, name: string): XmlElement {
  const found = childrenOf(element, ns.signature, name);
  const [first] = found;
  if (first === undefined || found.length !== 1) throw unsigned(`the signature has not exactly one ${name}`);
  return first;
}

/**
 * Verifies the signature of the element at `path` (positions of child elements from the root) of `xml`, whose form has been checked.
 * @returns the canonical text that was signed: the only thing to be believed afterwards. null: none of the certificates made the signature.
 */
export async function verifiedText(
  xml: string,
  path: readonly number[],
  certificates: readonly string[],
): Promise<string | null> {
  // Loaded with the first message: most gateways and commands never see one.
  const { getVerifiedXml, parseDomFromString } = await import("@node-saml/node-saml/lib/xml.js");
  try {
    const document = await parseDomFromString(xml);
    let node = document.documentElement;
    for (const position of path) {
      const elements = Array.from<XmlNode>(node.childNodes).filter((child) => child.nodeType === elementNode);
      const next = elements[position];
      if (next === undefined) return null;
      node = next as typeof node;
    }
    return getVerifiedXml(xml, node, [...certificates]);
  } catch {
    // The library throws for forms it does not like and for signatures that do not verify alike.
    return null;
  }
}

/** Of the library's DOM, whose types need those of a browser. */
interface XmlNode {
  readonly nodeType: number;
}
const elementNode = 1;

function unsigned(cause: string): IdentityError {
  return new IdentityError("TOKEN_SIGNATURE", `SAML: ${cause}`);
}
