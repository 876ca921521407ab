/** A SAML identity provider for tests: it signs whatever it is told to, also what no honest provider would. */
import { randomBytes } from "node:crypto";
import { SignedXml } from "xml-crypto";
import { type Certificate, selfSigned } from "./certificates.ts";

export const idpEntityId = "https://idp.example.com/saml";
export const spEntityId = "https://postern.example.com";
export const publicUrl = "https://postern.example.com";
export const acs = `${publicUrl}/saml/acs`;

const assertionNs = "urn:oasis:names:tc:SAML:2.0:assertion";
const protocolNs = "urn:oasis:names:tc:SAML:2.0:protocol";

export interface AssertionParts {
  readonly id?: string;
  readonly issuer?: string;
  readonly nameId?: string;
  readonly nameIdFormat?: string;
  readonly audience?: readonly string[];
  readonly recipient?: string | null;
  readonly method?: string;
  readonly inResponseTo?: string | null;
  /** Seconds from now. */
  readonly issued?: number;
  readonly notBefore?: number;
  readonly notOnOrAfter?: number;
  readonly confirmationEnds?: number | null;
  readonly authenticated?: number;
  readonly sessionEnds?: number | null;
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
  /** XML put into Conditions, and before the end of the assertion. */
  readonly conditions?: string;
  readonly extra?: string;
}

export interface ResponseParts {
  readonly id?: string;
  readonly destination?: string | null;
  readonly inResponseTo?: string | null;
  readonly issuer?: string | null;
  readonly status?: string;
}

export interface SigningOptions {
  readonly algorithm?: string;
  readonly digest?: string;
  readonly key?: string;
  readonly keyInfo?: boolean;
  readonly transforms?: readonly string[];
  /** Prefixes listed in InclusiveNamespaces, as Okta does. */
  readonly inclusive?: readonly string[];
  readonly prefix?: string;
}

export function time(secondsFromNow: number): string {
  return new Date(Date.now() + secondsFromNow * 1000).toISOString();
}

export function newId(): string {
  return `_${randomBytes(12).toString("hex")}`;
}

export function assertionXml(parts: AssertionParts = {}): string {
  const values = Object.entries(
    parts.attributes ?? { groups: ["agents", "dba"], email: ["alice@example.com"] },
  );
  const attributes = values
    .map(
      ([name, list]) =>
        `<saml:Attribute Name="${name}">${list.map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`).join("")}</saml:Attribute>`,
    )
    .join("");
  const recipient = parts.recipient === undefined ? acs : parts.recipient;
  const ends = parts.confirmationEnds === undefined ? 300 : parts.confirmationEnds;
  const data =
    (recipient === null ? "" : ` Recipient="${recipient}"`) +
    (ends === null ? "" : ` NotOnOrAfter="${time(ends)}"`) +
    (parts.inResponseTo == null ? "" : ` InResponseTo="${parts.inResponseTo}"`);
  const audience = (parts.audience ?? [spEntityId])
    .map((one) => `<saml:Audience>${one}</saml:Audience>`)
    .join("");
  const format = parts.nameIdFormat ?? "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
  return (
    `<saml:Assertion xmlns:saml="${assertionNs}" ID="${parts.id ?? newId()}" Version="2.0" IssueInstant="${time(parts.issued ?? 0)}">` +
    `<saml:Issuer>${parts.issuer ?? idpEntityId}</saml:Issuer>` +
    `<saml:Subject><saml:NameID Format="${format}">${parts.nameId ?? "alice"}</saml:NameID>` +
    `<saml:SubjectConfirmation Method="${parts.method ?? "urn:oasis:names:tc:SAML:2.0:cm:bearer"}"><saml:SubjectConfirmationData${data}/></saml:SubjectConfirmation></saml:Subject>` +
    `<saml:Conditions NotBefore="${time(parts.notBefore ?? -60)}" NotOnOrAfter="${time(parts.notOnOrAfter ?? 300)}">` +
    `${audience === "" ? "" : `<saml:AudienceRestriction>${audience}</saml:AudienceRestriction>`}${parts.conditions ?? ""}</saml:Conditions>` +
    `<saml:AuthnStatement AuthnInstant="${time(parts.authenticated ?? -30)}" SessionIndex="s1"${parts.sessionEnds == null ? "" : ` SessionNotOnOrAfter="${time(parts.sessionEnds)}"`}>` +
    `<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
    `<saml:AttributeStatement>${attributes}</saml:AttributeStatement>${parts.extra ?? ""}</saml:Assertion>`
  );
}

export function responseXml(inside: string, parts: ResponseParts = {}): string {
  const destination = parts.destination === undefined ? acs : parts.destination;
  const issuer = parts.issuer === undefined ? idpEntityId : parts.issuer;
  return (
    `<samlp:Response xmlns:samlp="${protocolNs}" ID="${parts.id ?? newId()}" Version="2.0" IssueInstant="${time(0)}"` +
    `${destination === null ? "" : ` Destination="${destination}"`}${parts.inResponseTo == null ? "" : ` InResponseTo="${parts.inResponseTo}"`}>` +
    `${issuer === null ? "" : `<saml:Issuer xmlns:saml="${assertionNs}">${issuer}</saml:Issuer>`}` +
    `<samlp:Status><samlp:StatusCode Value="${parts.status ?? "urn:oasis:names:tc:SAML:2.0:status:Success"}"/></samlp:Status>${inside}</samlp:Response>`
  );
}

export interface TestSamlIdp {
  readonly certificate: Certificate;
  metadata(options?: {
    certificates?: readonly string[];
    redirect?: string;
    post?: string;
    validUntil?: string;
  }): string;
  /** Signs the element with this local name (the first one). */
  sign(xml: string, element?: "Assertion" | "Response", options?: SigningOptions): string;
}

export function createSamlIdp(entityId = idpEntityId): TestSamlIdp {
  const certificate = selfSigned({ key: "rsa", name: "idp" });
  return {
    certificate,
    metadata(options = {}) {
      const keys = (options.certificates ?? [certificate.cert])
        .map(
          (pem) =>
            `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>\n${pem
              .replace(/-----[A-Z ]+-----/g, "")
              .trim()}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
        )
        .join("");
      return (
        `<?xml version="1.0" encoding="UTF-8"?><!-- of a test -->\n<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${entityId}"` +
        `${options.validUntil === undefined ? "" : ` validUntil="${options.validUntil}"`}>` +
        `<md:IDPSSODescriptor protocolSupportEnumeration="${protocolNs}">${keys}` +
        `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="${options.redirect ?? "https://idp.example.com/sso"}"/>` +
        `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="${options.post ?? "https://idp.example.com/sso-post"}"/>` +
        `</md:IDPSSODescriptor></md:EntityDescriptor>`
      );
    },
    sign(xml, element = "Assertion", options = {}) {
      const path = `//*[local-name(.)='${element}']`;
      const signer = new SignedXml({
        privateKey: options.key ?? certificate.key,
        ...(options.keyInfo === false ? {} : { publicCert: certificate.cert }),
        signatureAlgorithm: (options.algorithm ??
          "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256") as "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        canonicalizationAlgorithm: "http://www.w3.org/2001/10/xml-exc-c14n#",
      });
      signer.addReference({
        xpath: path,
        ...(options.inclusive === undefined ? {} : { inclusiveNamespacesPrefixList: [...options.inclusive] }),
        transforms: [
          ...(options.transforms ?? [
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
            "http://www.w3.org/2001/10/xml-exc-c14n#",
          ]),
        ],
        digestAlgorithm: (options.digest ??
          "http://www.w3.org/2001/04/xmlenc#sha256") as "http://www.w3.org/2001/04/xmlenc#sha256",
      });
      signer.computeSignature(xml, {
        prefix: options.prefix ?? "ds",
        location: { reference: `${path}/*[local-name(.)='Issuer']`, action: "after" },
      });
      return signer.getSignedXml();
    },
  };
}

export function encode(xml: string): string {
  return Buffer.from(xml).toString("base64");
}

/** As a password carries it. */
export function asPassword(xml: string): string {
  return Buffer.from(xml).toString("base64url");
}
