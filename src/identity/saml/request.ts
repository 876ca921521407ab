/** What Postern, a service provider, says: its metadata, and requests that begin a login (saml-bindings sections 3.4 and 3.5). */
import { randomBytes, sign, X509Certificate } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { IdentityError } from "../errors.ts";
import type { IdpMetadata } from "./metadata.ts";
import { bindings, ns } from "./names.ts";
import { escapeXml } from "./xml.ts";

export interface LoginRequest {
  /** The request's ID, which the answer must name. */
  readonly id: string;
  /** HTTP-Redirect binding: where to send the browser; null: the provider takes only the form. */
  readonly url: string | null;
  /** HTTP-POST binding: what to submit, and where; null: the provider takes only the redirect. */
  readonly form: { readonly action: string; readonly fields: Readonly<Record<string, string>> } | null;
}

/** Postern's own key for requests: PEM texts. */
export interface SigningKey {
  readonly cert: string;
  readonly key: string;
}

const rsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/** Makes an AuthnRequest. `relayState` comes back with the answer, at most 80 bytes. Rejects with IdentityError KEYS_UNAVAILABLE. */
export async function loginRequest(
  idp: IdpMetadata,
  ours: {
    readonly entityId: string;
    readonly acs: string;
    readonly stepUp: boolean;
    readonly signing: SigningKey | null;
  },
  relayState: string,
  now: number,
): Promise<LoginRequest> {
  if (Buffer.byteLength(relayState) > 80) throw new TypeError("RelayState has at most 80 bytes");
  const id = `_${randomBytes(20).toString("hex")}`;
  const request = (destination: string) =>
    `<samlp:AuthnRequest xmlns:samlp="${ns.protocol}" ID="${id}" Version="2.0" IssueInstant="${new Date(now).toISOString().replace(/\.\d+Z$/, "Z")}"` +
    ` Destination="${escapeXml(destination)}" ProtocolBinding="${bindings.post}" AssertionConsumerServiceURL="${escapeXml(ours.acs)}"` +
    `${ours.stepUp ? ' ForceAuthn="true"' : ""}><saml:Issuer xmlns:saml="${ns.assertion}">${escapeXml(ours.entityId)}</saml:Issuer></samlp:AuthnRequest>`;
  const { redirect, post } = idp;
  if (redirect === null && post === null)
    throw new IdentityError("KEYS_UNAVAILABLE", "the provider's metadata name no address for logins");
  return {
    id,
    url: redirect === null ? null : redirectUrl(redirect, request(redirect), relayState, ours.signing),
    form:
      post === null
        ? null
        : {
            action: post,
            fields: {
              SAMLRequest: Buffer.from(await signed(request(post), ours.signing)).toString("base64"),
              RelayState: relayState,
            },
          },
  };
}

/** Section 3.4.4.1: what is signed is the query, in this order and as it is encoded, not the XML. */
function redirectUrl(location: string, xml: string, relayState: string, signing: SigningKey | null): string {
  const query = [
    `SAMLRequest=${encodeURIComponent(deflateRawSync(xml).toString("base64"))}`,
    `RelayState=${encodeURIComponent(relayState)}`,
  ];
  if (signing !== null) {
    query.push(`SigAlg=${encodeURIComponent(rsaSha256)}`);
    const signature = sign("sha256", Buffer.from(query.join("&")), signing.key).toString("base64");
    query.push(`Signature=${encodeURIComponent(signature)}`);
  }
  const url = new URL(location);
  return `${location}${url.search === "" ? "?" : "&"}${query.join("&")}`;
}

/** Section 3.5.4: an enveloped signature behind the issuer. */
async function signed(xml: string, signing: SigningKey | null): Promise<string> {
  if (signing === null) return xml;
  const { signXml } = await import("@node-saml/node-saml/lib/xml.js");
  return signXml(
    xml,
    "/*[local-name(.)='AuthnRequest']",
    { reference: "/*/*[local-name(.)='Issuer']", action: "after" },
    {
      privateKey: signing.key,
      publicCert: signing.cert,
      signatureAlgorithm: "sha256",
      digestAlgorithm: "sha256",
    },
  );
}

/** What the administrator of the identity provider is given (saml-metadata section 2.4.4). */
export function serviceMetadata(entityId: string, acs: string, certificate: string | null): string {
  const key =
    certificate === null
      ? ""
      : `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="${ns.signature}"><ds:X509Data><ds:X509Certificate>${new X509Certificate(certificate).raw.toString("base64")}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
    `<md:EntityDescriptor xmlns:md="${ns.metadata}" entityID="${escapeXml(entityId)}">` +
    `<md:SPSSODescriptor AuthnRequestsSigned="${certificate !== null}" WantAssertionsSigned="true" protocolSupportEnumeration="${ns.protocol}">${key}` +
    `<md:AssertionConsumerService Binding="${bindings.post}" Location="${escapeXml(acs)}" index="0" isDefault="true"/>` +
    `</md:SPSSODescriptor></md:EntityDescriptor>\n`
  );
}
