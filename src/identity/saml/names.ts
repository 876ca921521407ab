/** Namespaces and identifiers of SAML 2.0 (OASIS saml-core-2.0-os, saml-bindings-2.0-os, saml-metadata-2.0-os). */
export const ns = {
  assertion: "urn:oasis:names:tc:SAML:2.0:assertion",
  protocol: "urn:oasis:names:tc:SAML:2.0:protocol",
  metadata: "urn:oasis:names:tc:SAML:2.0:metadata",
  signature: "http://www.w3.org/2000/09/xmldsig#",
} as const;

export const bindings = {
  redirect: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
  post: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
} as const;

export const bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
export const success = "urn:oasis:names:tc:SAML:2.0:status:Success";
export const transientId = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
