/** What Postern, a service provider, says: its metadata, and requests that begin a login (saml-bindings sections 3.4 and 3.5). */
import { randomBytes } from "node:crypto";
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

/** Makes an AuthnRequest. `relayState` comes back with the answer, at most 80 bytes. Throws IdentityError KEYS_UNAVAILABLE. */
export function loginRequest(
  idp: IdpMetadata,
  ours: { readonly entityId: string; readonly acs: string; readonly stepUp: boolean },
  relayState: string,
  now: number,
): LoginRequest {
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
    url: redirect === null ? null : redirectUrl(redirect, request(redirect), relayState),
    form:
      post === null
        ? null
        : {
            action: post,
            fields: { SAMLRequest: Buffer.from(request(post)).toString("base64"), RelayState: relayState },
          },
  };
}

function redirectUrl(location: string, xml: string, relayState: string): string {
  const url = new URL(location);
  url.searchParams.set("SAMLRequest", deflateRawSync(xml).toString("base64"));
  url.searchParams.set("RelayState", relayState);
  return url.href;
}

/** What the administrator of the identity provider is given (saml-metadata section 2.4.4). */
export function serviceMetadata(entityId: string, acs: string): string {
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
    `<md:EntityDescriptor xmlns:md="${ns.metadata}" entityID="${escapeXml(entityId)}">` +
    `<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="${ns.protocol}">` +
    `<md:AssertionConsumerService Binding="${bindings.post}" Location="${escapeXml(acs)}" index="0" isDefault="true"/>` +
    `</md:SPSSODescriptor></md:EntityDescriptor>\n`
  );
}
