/** Whose word still counts once the providers of the configuration have changed. */
import { describe, expect, test } from "vitest";
import { createIdentity } from "../../src/identity/index.ts";
import type { MtlsProviderSettings, SamlProviderSettings } from "../../src/identity/settings.ts";
import { isTrusted } from "../../src/identity/trust.ts";
import { createAuthority } from "../support/certificates.ts";
import { provider as oidc } from "./helpers.ts";

const saml: SamlProviderSettings = {
  name: "adfs",
  type: "saml",
  metadata: "/nowhere",
  entityId: null,
  audience: ["postern"],
  attributes: { subject: null, groups: "groups", email: "email" },
  signed: "assertion",
  sessionSeconds: 60,
  acs: null,
  kinds: [],
};
const mtls: MtlsProviderSettings = { name: "mesh", type: "mtls", subject: "spiffe", domains: [], kinds: [] };
const unread = () => null;

describe("a principal of earlier is trusted", () => {
  test.each<[string, boolean, Parameters<typeof isTrusted>]>([
    [
      "by name and issuer",
      true,
      [{ provider: "corp", issuer: "https://a" }, [oidc("https://a", { name: "corp" })], unread],
    ],
    [
      "not without its provider",
      false,
      [{ provider: "corp", issuer: "https://a" }, [oidc("https://a", { name: "other" })], unread],
    ],
    [
      "not under another issuer of that name",
      false,
      [{ provider: "corp", issuer: "https://a" }, [oidc("https://b", { name: "corp" })], unread],
    ],
    [
      "not of an issuer that only differs by a slash",
      false,
      [{ provider: "corp", issuer: "https://a" }, [oidc("https://a/", { name: "corp" })], unread],
    ],
    [
      "of SAML, as long as nobody knows better",
      true,
      [{ provider: "adfs", issuer: "urn:a" }, [saml], unread],
    ],
    ["of SAML, as the metadata say", true, [{ provider: "adfs", issuer: "urn:a" }, [saml], () => "urn:a"]],
    [
      "not of SAML when the metadata name another",
      false,
      [{ provider: "adfs", issuer: "urn:a" }, [saml], () => "urn:b"],
    ],
    [
      "not of SAML when the settings name another",
      false,
      [{ provider: "adfs", issuer: "urn:a" }, [{ ...saml, entityId: "urn:b" }], unread],
    ],
    [
      "of a certificate of any trust domain",
      true,
      [{ provider: "mesh", issuer: "spiffe://a" }, [mtls], unread],
    ],
    [
      "of a certificate of a named trust domain",
      true,
      [{ provider: "mesh", issuer: "spiffe://a" }, [{ ...mtls, domains: ["a"] }], unread],
    ],
    [
      "not of a trust domain that is gone",
      false,
      [{ provider: "mesh", issuer: "spiffe://a" }, [{ ...mtls, domains: ["b"] }], unread],
    ],
    [
      "not of a token, where certificates are asked for now",
      false,
      [{ provider: "mesh", issuer: "https://a" }, [mtls], unread],
    ],
    [
      "of a certificate by another name",
      true,
      [{ provider: "mesh", issuer: "mtls:mesh" }, [{ ...mtls, subject: "dns" }], unread],
    ],
    [
      "not of a SPIFFE ID where other names count now",
      false,
      [{ provider: "mesh", issuer: "spiffe://a" }, [{ ...mtls, subject: "dns" }], unread],
    ],
  ])("%s", (_how, expected, given) => {
    expect(isTrusted(...given)).toBe(expected);
  });
});

test("a common name in the form of a SPIFFE ID takes over no trust domain", async () => {
  const identity = await createIdentity([{ ...mtls, subject: "cn" }]);
  const name = "spiffe://prod.example.org/ns/shop/sa/reporter";
  const { der } = createAuthority({ key: "ec" }).issue({ name, hosts: [] });
  const principal = await identity.authenticateCertificate({ der });
  expect([principal.subject, principal.issuer, principal.claims.spiffe]).toEqual([name, "mtls:mesh", {}]);
  expect(identity.trusts(principal)).toBe(true);
});
