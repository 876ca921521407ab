/** SAML: what gets in, and every forgery that must not (IDENTITY.md). Assertions are signed with xml-crypto. */
import { verify, X509Certificate } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SignedXml } from "xml-crypto";
import { createIdentity, type Identity, type SamlProvider } from "../../src/identity/index.ts";
import { messageLimits, readXml } from "../../src/identity/saml/xml.ts";
import type { SamlProviderSettings } from "../../src/identity/settings.ts";
import type { Store } from "../../src/store/types.ts";
import { selfSigned } from "../support/certificates.ts";
import {
  type AssertionParts,
  acs,
  asPassword,
  assertionXml,
  createSamlIdp,
  encode,
  idpEntityId,
  newId,
  publicUrl,
  type ResponseParts,
  responseXml,
  spEntityId,
  time,
} from "../support/saml.ts";
import { clock, refused } from "./helpers.ts";

const idp = createSamlIdp();
let folder = "";
let identity: Identity;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-saml-"));
  await writeFile(join(folder, "idp.xml"), idp.metadata());
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  identity = await open();
  return () => identity.close();
});

function settings(changes: Partial<SamlProviderSettings> = {}): SamlProviderSettings {
  return {
    name: "adfs",
    type: "saml",
    metadata: join(folder, "idp.xml"),
    entityId: null,
    audience: [spEntityId],
    attributes: { subject: null, groups: "groups", email: "email" },
    kinds: [{ kind: "human", when: '"dba" in groups' }],
    signed: "assertion",
    sessionSeconds: 3600,
    acs: null,
    ...changes,
  };
}

function open(
  changes: Partial<SamlProviderSettings> = {},
  options: Parameters<typeof createIdentity>[1] = {},
) {
  return createIdentity([settings(changes)], { publicUrl: () => publicUrl, ...options });
}

function providerOf(one: Identity): SamlProvider {
  const [provider] = one.saml;
  if (provider === undefined) throw new Error("no SAML provider");
  return provider;
}

const request = "_request1";
const answer = (parts: AssertionParts = {}, response: ResponseParts = {}) =>
  responseXml(idp.sign(assertionXml({ inResponseTo: request, ...parts })), {
    inResponseTo: request,
    ...response,
  });
const finish = (xml: string) => providerOf(identity).finish(encode(xml), request);
const password = (xml: string) => identity.authenticate(asPassword(xml));

describe("what gets in", () => {
  test("a response to a login in the browser, every fact of its principal", async () => {
    const principal = await finish(answer({ sessionEnds: 1800 }));
    expect(principal).toMatchObject({
      subject: "alice",
      issuer: idpEntityId,
      email: "alice@example.com",
      kind: "human",
      groups: ["agents", "dba"],
      actor: [],
      provider: "adfs",
    });
    expect(principal.claims.groups).toEqual(["agents", "dba"]);
    expect(principal.claims.auth_time).toBeTypeOf("number");
    const now = Date.now() / 1000;
    expect(principal.token.expires).toBeGreaterThan(now + 1700);
    expect(principal.token.expires).toBeLessThan(now + 1801);
    expect(principal.token.jti).toMatch(/^_/);
  });

  test("without SessionNotOnOrAfter the session ends as configured", async () => {
    const { token } = await finish(answer());
    expect(Math.abs(token.expires - (Date.now() / 1000 + 3600))).toBeLessThan(5);
  });

  test("an assertion as password, in base64url and in base64, and a whole response", async () => {
    expect((await password(idp.sign(assertionXml()))).subject).toBe("alice");
    expect((await identity.authenticate(encode(idp.sign(assertionXml())))).subject).toBe("alice");
    expect((await password(responseXml(idp.sign(assertionXml())))).subject).toBe("alice");
  });

  test("an assertion made for the token endpoint (RFC 7522)", async () => {
    const xml = idp.sign(assertionXml({ recipient: `${publicUrl}/oauth/token` }));
    expect((await password(xml)).subject).toBe("alice");
  });

  test("a response that is signed as well", async () => {
    const inner = idp.sign(assertionXml({ inResponseTo: request }));
    expect((await finish(idp.sign(responseXml(inner, { inResponseTo: request }), "Response"))).subject).toBe(
      "alice",
    );
  });

  test("a signed response alone, where that is configured", async () => {
    const one = await open({ signed: "response" });
    const xml = idp.sign(
      responseXml(assertionXml({ inResponseTo: request }), { inResponseTo: request }),
      "Response",
    );
    expect((await providerOf(one).finish(encode(xml), request)).subject).toBe("alice");
    await refused(one.authenticate(asPassword(assertionXml())), "TOKEN_SIGNATURE");
    one.close();
  });

  test("RSA-SHA512, and RSA-PSS", async () => {
    const algorithms = [
      ["http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "http://www.w3.org/2001/04/xmlenc#sha512"],
      ["http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", "http://www.w3.org/2001/04/xmlenc#sha256"],
    ] as const;
    for (const [algorithm, digest] of algorithms)
      expect((await password(idp.sign(assertionXml(), "Assertion", { algorithm, digest }))).subject).toBe(
        "alice",
      );
  });

  test("a subject and groups from attributes of one's choice", async () => {
    const one = await open({
      attributes: { subject: "urn:oid:0.9.2342.19200300.100.1.1", groups: "roles", email: "mail" },
      groupsFrom: [{ group: "everyone", when: null }],
    });
    const xml = idp.sign(
      assertionXml({
        nameIdFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
        attributes: { "urn:oid:0.9.2342.19200300.100.1.1": ["bob"], roles: ["x"], mail: ["b@example.com"] },
      }),
    );
    const principal = await one.authenticate(asPassword(xml));
    expect(principal).toMatchObject({
      subject: "bob",
      groups: ["x", "everyone"],
      email: "b@example.com",
      kind: "agent",
    });
    one.close();
  });

  test("in the shape of Microsoft's: default namespaces, attributes by address, groups by id", async () => {
    const entra = createSamlIdp("https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/");
    const place = join(folder, "entra.xml");
    await writeFile(place, entra.metadata());
    const schemas = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups";
    const mail = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
    const one = await open({ metadata: place, attributes: { subject: null, groups: schemas, email: mail } });
    const assertion = `<Assertion ID="_5f9f" IssueInstant="${time(0)}" Version="2.0" xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><Issuer>https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/</Issuer><Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">k3R</NameID><SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><SubjectConfirmationData InResponseTo="${request}" NotOnOrAfter="${time(3600)}" Recipient="${acs}" /></SubjectConfirmation></Subject><Conditions NotBefore="${time(-300)}" NotOnOrAfter="${time(3600)}"><AudienceRestriction><Audience>${spEntityId}</Audience></AudienceRestriction></Conditions><AttributeStatement><Attribute Name="http://schemas.microsoft.com/identity/claims/tenantid"><AttributeValue>aaaabbbb</AttributeValue></Attribute><Attribute Name="${schemas}"><AttributeValue>g-1</AttributeValue><AttributeValue>g-2</AttributeValue></Attribute><Attribute Name="${mail}"><AttributeValue>abe@example.com</AttributeValue></Attribute></AttributeStatement><AuthnStatement AuthnInstant="${time(-60)}" SessionIndex="_5f9f"><AuthnContext><AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</AuthnContextClassRef></AuthnContext></AuthnStatement></Assertion>`;
    const response = `<samlp:Response ID="_r1" Version="2.0" IssueInstant="${time(0)}" Destination="${acs}" InResponseTo="${request}" xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><Issuer xmlns="urn:oasis:names:tc:SAML:2.0:assertion">https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/</Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>${entra.sign(assertion, "Assertion", { prefix: "" })}</samlp:Response>`;
    expect(await providerOf(one).finish(encode(response), request)).toMatchObject({
      subject: "k3R",
      groups: ["g-1", "g-2"],
      email: "abe@example.com",
    });
    one.close();
  });

  test("in the shape of Okta's: typed values, inclusive namespaces, both signed, lines broken", async () => {
    const typed = assertionXml({ inResponseTo: request })
      .replace("<saml:Assertion ", '<saml:Assertion xmlns:xs="http://www.w3.org/2001/XMLSchema" ')
      .replaceAll(
        "<saml:AttributeValue>",
        '<saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">',
      )
      .replaceAll("><saml:", ">\n<saml:");
    const inner = idp.sign(typed, "Assertion", { inclusive: ["xs"] });
    const whole = idp.sign(responseXml(`\n${inner}\n`, { inResponseTo: request }), "Response", {
      inclusive: ["xs"],
    });
    const lines = encode(`<?xml version="1.0" encoding="UTF-8"?>${whole}`).replaceAll(/.{76}/g, "$&\r\n");
    const principal = await providerOf(identity).finish(lines, request);
    expect(principal).toMatchObject({ subject: "alice", groups: ["agents", "dba"] });
  });

  test("escaped characters are read as what they stand for", async () => {
    const xml = idp.sign(assertionXml({ nameId: "a&amp;b &lt;c&gt;", attributes: { groups: ["r&#38;d"] } }));
    const { subject, groups } = await password(xml);
    expect({ subject, groups }).toEqual({ subject: "a&b <c>", groups: ["r&d"] });
  });
});

describe("signatures", () => {
  const signed = () => idp.sign(assertionXml({ inResponseTo: request }));

  test("no signature at all", async () => {
    await refused(
      finish(responseXml(assertionXml({ inResponseTo: request }), { inResponseTo: request })),
      "TOKEN_SIGNATURE",
    );
    await refused(password(assertionXml()), "TOKEN_SIGNATURE");
  });

  test("a signed response around an unsigned assertion", async () => {
    const xml = idp.sign(
      responseXml(assertionXml({ inResponseTo: request }), { inResponseTo: request }),
      "Response",
    );
    await refused(finish(xml), "TOKEN_SIGNATURE");
  });

  test("a foreign key, with its certificate in the message", async () => {
    const foreign = createSamlIdp();
    const xml = responseXml(foreign.sign(assertionXml({ inResponseTo: request })), { inResponseTo: request });
    await refused(finish(xml), "TOKEN_SIGNATURE");
  });

  test("HMAC keyed with the certificate", async () => {
    const xml = signed().replace(
      "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
      "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
    );
    await refused(finish(responseXml(xml, { inResponseTo: request })), "TOKEN_ALGORITHM");
  });

  test.each([
    ["signature", { algorithm: "http://www.w3.org/2000/09/xmldsig#rsa-sha1" }],
    ["digest", { digest: "http://www.w3.org/2000/09/xmldsig#sha1" }],
  ])("SHA-1 as %s", async (_, options) => {
    const xml = idp.sign(assertionXml({ inResponseTo: request }), "Assertion", options);
    await refused(finish(responseXml(xml, { inResponseTo: request })), "TOKEN_ALGORITHM");
  });

  test("a changed text, attribute, or group", async () => {
    for (const [from, to] of [
      [">alice<", ">mallory<"],
      [">dba<", ">security<"],
      [acs, "https://postern.example.com/saml/acs2"],
    ] as const) {
      const xml = signed().replace(from, to);
      const error = await finish(responseXml(xml, { inResponseTo: request })).catch(
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: "TOKEN_SIGNATURE" });
    }
  });

  test("canonicalization with comments, one transform, three transforms", async () => {
    const enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
    const exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    for (const transforms of [
      [enveloped, `${exclusive}WithComments`],
      [enveloped],
      [enveloped, exclusive, exclusive],
      [exclusive, enveloped],
    ]) {
      const xml = idp.sign(assertionXml({ inResponseTo: request }), "Assertion", { transforms });
      await refused(finish(responseXml(xml, { inResponseTo: request })), "TOKEN_SIGNATURE");
    }
  });

  test("an empty reference, which would mean the whole document", async () => {
    const xml = signed().replace(/URI="#[^"]+"/, 'URI=""');
    await refused(finish(responseXml(xml, { inResponseTo: request })), "TOKEN_SIGNATURE");
  });

  test("a broken signature on the response though the assertion's holds", async () => {
    const xml = idp
      .sign(responseXml(signed(), { inResponseTo: request }), "Response")
      .replace('Version="2.0" IssueInstant', 'Consent="x" Version="2.0" IssueInstant');
    await refused(finish(xml), "TOKEN_SIGNATURE");
  });
});

describe("wrapping: a signed assertion moved away and an evil one in its place", () => {
  const evil = (id = newId()) => assertionXml({ id, nameId: "admin", inResponseTo: request });
  const original = () => idp.sign(assertionXml({ inResponseTo: request }));
  const signatureOf = (xml: string) => /<ds:Signature[\s\S]*<\/ds:Signature>/.exec(xml)?.[0] ?? "";
  const without = (xml: string) => xml.replace(/<ds:Signature[\s\S]*<\/ds:Signature>/, "");
  const idOf = (xml: string) => /ID="([^"]+)"/.exec(xml)?.[1] ?? "";
  const inside = (xml: string, more: string) => xml.replace("</saml:Assertion>", `${more}</saml:Assertion>`);
  const around = (xml: string) => responseXml(xml, { inResponseTo: request });
  const intoSignature = (xml: string, object: string) =>
    xml.replace("</ds:Signature>", `<ds:Object>${object}</ds:Object></ds:Signature>`);

  const variants: readonly (readonly [string, () => string])[] = [
    [
      "XSW1: the signed response inside the evil one's signature",
      () => {
        const response = idp.sign(around(assertionXml({ inResponseTo: request })), "Response");
        return responseXml(intoSignature(signatureOf(response), without(response)) + evil(), {
          inResponseTo: request,
        });
      },
    ],
    [
      "XSW2: the signed response beside the signature in the evil one",
      () => {
        const response = idp.sign(around(assertionXml({ inResponseTo: request })), "Response");
        return responseXml(without(response) + signatureOf(response) + evil(), { inResponseTo: request });
      },
    ],
    ["XSW3: the evil assertion before the signed one", () => around(evil() + original())],
    ["XSW4: the signed assertion inside the evil one", () => around(inside(evil(), original()))],
    [
      "XSW5: the signature in the evil assertion, the original beside it",
      () => {
        const xml = original();
        return around(inside(evil(), signatureOf(xml)) + without(xml));
      },
    ],
    [
      "XSW6: the original inside the signature inside the evil one",
      () => {
        const xml = original();
        return around(inside(evil(), intoSignature(signatureOf(xml), without(xml))));
      },
    ],
    [
      "XSW7: the evil assertion inside Extensions",
      () => around(`<samlp:Extensions>${evil()}</samlp:Extensions>${original()}`),
    ],
    [
      "XSW8: the original inside an Object of the evil one's signature",
      () => {
        const xml = original();
        const stolen = signatureOf(xml);
        return around(inside(evil(), intoSignature(stolen, `<x>${without(xml)}</x>`)));
      },
    ],
    [
      "both with one ID",
      () => {
        const xml = original();
        return around(evil(idOf(xml)) + xml);
      },
    ],
    [
      "the evil one in another namespace",
      () => around(evil().replaceAll("saml:", "evil:").replaceAll("xmlns:saml", "xmlns:evil") + original()),
    ],
    [
      "the evil one under another name of the same ID attribute",
      () => {
        const xml = original();
        return around(`<x Id="${idOf(xml)}">${evil()}</x>${xml}`);
      },
    ],
    ["the signature of another assertion", () => around(inside(evil(), signatureOf(original())))],
    [
      "the evil one carries the original's ID, and the signature only refers to it",
      () => {
        const xml = original();
        return around(inside(evil(idOf(xml)), signatureOf(xml)));
      },
    ],
  ];
  test.each(variants)("%s", async (_, make) => {
    const error = await finish(make()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "IdentityError" });
    const asToken = await password(make()).catch((reason: unknown) => reason);
    expect(asToken).toMatchObject({ name: "IdentityError" });
  });

  test("two honest assertions", async () => {
    await refused(finish(around(original() + original())), "TOKEN_MALFORMED");
  });

  test("an encrypted assertion", async () => {
    const encrypted = '<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>';
    await refused(finish(around(encrypted)), "TOKEN_TYPE");
  });
});

describe("XML that two readers could read in two ways", () => {
  const xml = () => answer();
  test.each([
    ["a document type", () => `<!DOCTYPE r [<!ENTITY a "admin">]>${xml()}`, "document type"],
    [
      "an external document type",
      () => `<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x">${xml()}`,
      "document type",
    ],
    ["an entity nobody declared", () => xml().replace("alice", "&a;"), "entity"],
    ["a comment in the NameID", () => xml().replace(">alice<", ">admin<!-- -->.alice<"), "comment"],
    ["a comment elsewhere", () => xml().replace("<saml:Subject>", "<!-- x --><saml:Subject>"), "comment"],
    ["CDATA", () => xml().replace(">alice<", "><![CDATA[alice]]><"), "markup"],
    [
      "a processing instruction",
      () => xml().replace("<saml:Subject>", "<?x y?><saml:Subject>"),
      "processing",
    ],
    ["another encoding", () => `<?xml version="1.0" encoding="UTF-16"?>${xml()}`, "encoding"],
    ["an undeclared prefix", () => xml().replace("<saml:Subject>", "<foo:x/><saml:Subject>"), "prefix"],
    [
      "two attributes of one name",
      () => xml().replace('Version="2.0"', 'Version="2.0" Version="2.0"'),
      "twice",
    ],
    ["text behind the root", () => `${xml()}x`, "outside"],
    ["a second root", () => `${xml()}<a/>`, "more than one root"],
    ["deep nesting", () => "<a>".repeat(100), "deeply"],
    ["many elements", () => `<a>${"<b/>".repeat(5000)}</a>`, "elements"],
    ["a NUL by reference", () => xml().replace("alice", "&#0;"), "character"],
    ["nothing", () => "<", "name"],
  ])("%s", async (_, make, why) => {
    const error = await refused(finish(make()), "TOKEN_MALFORMED");
    expect(error.cause).toContain(why);
  });

  test("the comment that cut names short: signed with it, it is refused, not cut", async () => {
    const signed = idp.sign(
      assertionXml({ nameId: "admin@corp.example<!-- -->.evil.example", inResponseTo: request }),
    );
    await refused(finish(responseXml(signed, { inResponseTo: request })), "TOKEN_MALFORMED");
  });

  test("what is not base64, not UTF-8, too large", async () => {
    const provider = providerOf(identity);
    await refused(provider.finish("***", request), "TOKEN_MALFORMED");
    await refused(provider.finish("", request), "TOKEN_MALFORMED");
    await refused(
      provider.finish(Buffer.from([0x3c, 0xff, 0xfe]).toString("base64"), request),
      "TOKEN_MALFORMED",
    );
    await refused(provider.finish("A".repeat(400_000), request), "TOKEN_TOO_LARGE");
    await refused(identity.authenticate(`PD${"A".repeat(70_000)}`), "TOKEN_TOO_LARGE");
  });

  test("errors do not repeat the message", async () => {
    const error = await refused(password(assertionXml({ nameId: "secret-name" })), "TOKEN_SIGNATURE");
    expect(error.cause + error.message).not.toContain("secret-name");
  });
});

describe("one-time use", () => {
  test("the same assertion twice: by password, by browser, in another spelling", async () => {
    const signed = idp.sign(assertionXml());
    await password(signed);
    await refused(password(signed), "TOKEN_REPLAYED");
    await refused(identity.authenticate(encode(signed)), "TOKEN_REPLAYED");
    await refused(password(responseXml(signed)), "TOKEN_REPLAYED");
    const xml = answer();
    await finish(xml);
    await refused(finish(xml), "TOKEN_REPLAYED");
    await refused(password(xml), "TOKEN_REPLAYED");
  });

  test("of many at once exactly one gets in", async () => {
    const signed = asPassword(idp.sign(assertionXml()));
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => identity.authenticate(signed)));
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  });

  test("a refused one is not used up", async () => {
    const signed = idp.sign(assertionXml({ inResponseTo: "_request2" }));
    await refused(finish(responseXml(signed, { inResponseTo: request })), "TOKEN_REQUEST");
    const { subject } = await providerOf(identity).finish(
      encode(responseXml(signed, { inResponseTo: "_request2" })),
      "_request2",
    );
    expect(subject).toBe("alice");
  });

  test("two nodes with one store; a store that fails refuses", async () => {
    const kept = new Map<string, number>();
    let broken = false;
    const store = {
      async insert(collection: string, key: string, _: unknown, options: { expires: number }) {
        if (broken) throw new Error("down");
        expect(collection).toBe("saml-seen");
        expect(key).toMatch(/^[0-9a-f]{64}$/);
        if (kept.has(key)) return false;
        kept.set(key, options.expires);
        return true;
      },
    } as unknown as Store;
    const [a, b] = [await open({}, { store }), await open({}, { store })];
    const signed = asPassword(idp.sign(assertionXml({ notOnOrAfter: 200 })));
    await a.authenticate(signed);
    await refused(b.authenticate(signed), "TOKEN_REPLAYED");
    expect([...kept.values()][0]).toBeGreaterThan(Date.now() + 230_000);
    broken = true;
    await refused(b.authenticate(asPassword(idp.sign(assertionXml()))), "STORE_UNAVAILABLE");
    a.close();
    b.close();
  });
});

describe("conditions", () => {
  test.each<[string, AssertionParts, ResponseParts, string]>([
    ["a foreign audience", { audience: ["https://other.example.com"] }, {}, "TOKEN_AUDIENCE"],
    ["no audience", { audience: [] }, {}, "TOKEN_AUDIENCE"],
    [
      "two audience restrictions of which one is foreign",
      { conditions: "<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>" },
      {},
      "TOKEN_AUDIENCE",
    ],
    ["another recipient", { recipient: "https://other.example.com/saml/acs" }, {}, "TOKEN_RECIPIENT"],
    ["a recipient that only begins alike", { recipient: `${acs}/x` }, {}, "TOKEN_RECIPIENT"],
    ["no recipient", { recipient: null }, {}, "TOKEN_RECIPIENT"],
    [
      "the token endpoint as recipient, in the browser",
      { recipient: `${publicUrl}/oauth/token` },
      {},
      "TOKEN_RECIPIENT",
    ],
    ["another destination", {}, { destination: "https://other.example.com/saml/acs" }, "TOKEN_RECIPIENT"],
    ["no destination", {}, { destination: null }, "TOKEN_RECIPIENT"],
    ["an answer to another request", { inResponseTo: "_other" }, {}, "TOKEN_REQUEST"],
    ["an assertion that answers no request", { inResponseTo: null }, {}, "TOKEN_REQUEST"],
    ["a response that answers another request", {}, { inResponseTo: "_other" }, "TOKEN_REQUEST"],
    ["a response nobody asked for", {}, { inResponseTo: null }, "TOKEN_REQUEST"],
    ["a foreign issuer of the assertion", { issuer: "https://evil.example.com" }, {}, "TOKEN_ISSUER"],
    ["a foreign issuer of the response", {}, { issuer: "https://evil.example.com" }, "TOKEN_ISSUER"],
    ["expired", { notOnOrAfter: -31 }, {}, "TOKEN_EXPIRED"],
    ["an expired confirmation", { confirmationEnds: -31 }, {}, "TOKEN_EXPIRED"],
    ["a confirmation without end", { confirmationEnds: null }, {}, "TOKEN_CLAIMS"],
    ["an ended session", { sessionEnds: -31 }, {}, "TOKEN_EXPIRED"],
    ["not yet valid", { notBefore: 60 }, {}, "TOKEN_NOT_YET_VALID"],
    ["issued in the future", { issued: 60 }, {}, "TOKEN_NOT_YET_VALID"],
    ["authenticated in the future", { authenticated: 60 }, {}, "TOKEN_NOT_YET_VALID"],
    ["good for longer than a day", { notOnOrAfter: 90_000, confirmationEnds: 90_000 }, {}, "TOKEN_CLAIMS"],
    ["holder of key", { method: "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key" }, {}, "TOKEN_BOUND"],
    ["a condition nobody knows", { conditions: '<saml:Condition xmlns:x="urn:x"/>' }, {}, "TOKEN_CLAIMS"],
    ["a failure", {}, { status: "urn:oasis:names:tc:SAML:2.0:status:Responder" }, "TOKEN_TYPE"],
    [
      "a transient NameID",
      { nameIdFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" },
      {},
      "TOKEN_CLAIMS",
    ],
    ["an empty NameID", { nameId: "" }, {}, "TOKEN_CLAIMS"],
    ["a line break in the NameID", { nameId: "alice&#10;forged" }, {}, "TOKEN_CLAIMS"],
    [
      "a second AuthnStatement",
      { extra: `<saml:AuthnStatement AuthnInstant="${time(0)}"/>` },
      {},
      "TOKEN_CLAIMS",
    ],
    ["two e-mail addresses", { attributes: { email: ["a@x", "b@x"] } }, {}, "TOKEN_CLAIMS"],
    [
      "groups that are kept elsewhere (Entra)",
      { attributes: { "http://schemas.microsoft.com/claims/groups.link": ["https://graph.windows.net/x"] } },
      {},
      "GROUPS_OVERAGE",
    ],
  ])("%s", async (_, parts, response, code) => {
    const error = await finish(answer(parts, response)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
  });

  test("within the tolerance of 30 s", async () => {
    expect((await finish(answer({ notOnOrAfter: -20, confirmationEnds: -20 }))).subject).toBe("alice");
    expect((await finish(answer({ notBefore: 20 }))).subject).toBe("alice");
  });

  test("a bare assertion where a response is expected", async () => {
    await refused(finish(idp.sign(assertionXml({ inResponseTo: request }))), "TOKEN_TYPE");
  });

  test("a condition of one's own", async () => {
    const one = await open({ require: ['"finance" in groups'] });
    await refused(one.authenticate(asPassword(idp.sign(assertionXml()))), "TOKEN_NOT_ADMITTED");
    one.close();
  });

  test("without a public address nothing is accepted", async () => {
    const one = await open({}, { publicUrl: () => null });
    await refused(one.authenticate(asPassword(idp.sign(assertionXml()))), "KEYS_UNAVAILABLE");
    one.close();
  });

  test("a revoked assertion", async () => {
    const token = asPassword(idp.sign(assertionXml()));
    const { createHash } = await import("node:crypto");
    identity.revoke(createHash("sha256").update(token).digest("hex"));
    await refused(identity.authenticate(token), "TOKEN_REVOKED");
  });

  test("one of an issuer nobody configured", async () => {
    await refused(password(idp.sign(assertionXml({ issuer: "https://evil.example.com" }))), "TOKEN_ISSUER");
  });
});

describe("metadata", () => {
  test("two certificates while the provider changes from one to the other", async () => {
    const next = createSamlIdp();
    const place = join(folder, "two.xml");
    await writeFile(place, idp.metadata({ certificates: [idp.certificate.cert, next.certificate.cert] }));
    const one = await open({ metadata: place });
    for (const signer of [idp, next])
      expect((await one.authenticate(asPassword(signer.sign(assertionXml())))).subject).toBe("alice");
    one.close();
  });

  test("a file is read again when it changed", async () => {
    const next = createSamlIdp();
    const place = join(folder, "changing.xml");
    await writeFile(place, idp.metadata());
    const one = await open({ metadata: place });
    await one.authenticate(asPassword(idp.sign(assertionXml())));
    await refused(one.authenticate(asPassword(next.sign(assertionXml()))), "TOKEN_SIGNATURE");
    await writeFile(`${place}.new`, next.metadata());
    await rename(`${place}.new`, place);
    expect((await one.authenticate(asPassword(next.sign(assertionXml())))).subject).toBe("alice");
    await refused(one.authenticate(asPassword(idp.sign(assertionXml()))), "TOKEN_SIGNATURE");
    one.close();
  });

  test("at a URL: fetched once, again for a new certificate, kept through an outage for a day", async () => {
    const next = createSamlIdp();
    let text = idp.metadata();
    let fetched = 0;
    let status = 200;
    const server = createServer((_, response) => {
      fetched += 1;
      response.writeHead(status, { "content-type": "application/samlmetadata+xml" }).end(text);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const time = clock();
    const { port } = server.address() as AddressInfo;
    const one = await open({ metadata: `http://127.0.0.1:${port}/metadata` }, { now: time.now });
    const login = (signer: typeof idp) => one.authenticate(asPassword(signer.sign(assertionXml())));
    await login(idp);
    await login(idp);
    expect(fetched).toBe(1);
    text = next.metadata();
    await login(next);
    expect(fetched).toBe(2);
    await refused(login(idp), "TOKEN_SIGNATURE");
    status = 500;
    // The clock of the assertions is the real one: only the metadata age, within the tolerance of a long-lived assertion.
    time.advance(3_601_000);
    const later = {
      issued: 3600,
      notBefore: 3500,
      notOnOrAfter: 3900,
      confirmationEnds: 3900,
      authenticated: 3590,
    };
    expect((await one.authenticate(asPassword(next.sign(assertionXml(later))))).subject).toBe("alice");
    time.advance(86_400_000);
    await refused(login(next), "KEYS_UNAVAILABLE");
    one.close();
    server.close();
  });

  test.each([
    ["no XML", "x", "XML"],
    ["no provider in it", '<a xmlns="urn:x"/>', "describe no identity provider"],
    ["a document type", `<!DOCTYPE a>${idp.metadata()}`, "document type"],
    ["no certificate", idp.metadata({ certificates: [] }), "no signing certificate"],
    [
      "a key that is no RSA key",
      idp.metadata({ certificates: [selfSigned({ key: "ec" }).cert] }),
      "no signing certificate",
    ],
    ["logins without TLS", idp.metadata({ redirect: "http://idp.example.com/sso" }), "https"],
  ])("%s shows at start", async (_, text, why) => {
    const place = join(folder, "bad.xml");
    await writeFile(place, text);
    await expect(open({ metadata: place })).rejects.toThrow(why);
  });

  test("metadata that are over", async () => {
    const place = join(folder, "over.xml");
    await writeFile(place, idp.metadata({ validUntil: new Date(Date.now() - 1000).toISOString() }));
    const one = await open({ metadata: place });
    await refused(one.authenticate(asPassword(idp.sign(assertionXml()))), "KEYS_UNAVAILABLE");
    one.close();
  });

  test("one of several providers in a federation's metadata", async () => {
    const other = createSamlIdp("https://other.example.com");
    const strip = (xml: string) => xml.slice(xml.indexOf("<md:EntityDescriptor"));
    const place = join(folder, "federation.xml");
    await writeFile(
      place,
      `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">${strip(other.metadata())}${strip(idp.metadata())}</md:EntitiesDescriptor>`,
    );
    await expect(open({ metadata: place })).rejects.toThrow("entity_id");
    const one = await open({ metadata: place, entityId: idpEntityId });
    expect((await one.authenticate(asPassword(idp.sign(assertionXml())))).subject).toBe("alice");
    await refused(one.authenticate(asPassword(other.sign(assertionXml()))), "TOKEN_SIGNATURE");
    one.close();
  });
});

describe("what Postern says", () => {
  test("SP metadata", () => {
    const xml = providerOf(identity).metadata();
    expect(xml).toContain(`entityID="${spEntityId}"`);
    expect(xml).toContain(`Location="${acs}"`);
    expect(xml).toContain('WantAssertionsSigned="true"');
  });

  test("a request, by redirect and by form", async () => {
    const { id, url, form } = await providerOf(identity).begin("state-1");
    expect(id).toMatch(/^_[0-9a-f]{40}$/);
    const query = new URL(url ?? "").searchParams;
    expect(query.get("RelayState")).toBe("state-1");
    const xml = inflateRawSync(Buffer.from(query.get("SAMLRequest") ?? "", "base64")).toString();
    for (const part of [
      `ID="${id}"`,
      `AssertionConsumerServiceURL="${acs}"`,
      `>${spEntityId}</saml:Issuer>`,
      'Destination="https://idp.example.com/sso"',
    ])
      expect(xml).toContain(part);
    expect(form?.action).toBe("https://idp.example.com/sso-post");
    expect(Buffer.from(form?.fields.SAMLRequest ?? "", "base64").toString()).toContain(`ID="${id}"`);
    const again = await providerOf(identity).begin("state-2", { stepUp: true });
    expect(again.id).not.toBe(id);
    expect(Buffer.from(again.form?.fields.SAMLRequest ?? "", "base64").toString()).toContain(
      'ForceAuthn="true"',
    );
  });

  test("a signed request, in both bindings, and the certificate in the metadata", async () => {
    const own = createSamlIdp();
    const one = await open({
      signing: { cert: own.certificate.cert, key: { label: "test", read: async () => own.certificate.key } },
    });
    const { url, form } = await providerOf(one).begin("a state/+");
    const query = new URL(url ?? "").search.slice(1);
    const [covered = "", signature = ""] = query.split("&Signature=");
    expect(covered).toMatch(/^SAMLRequest=[^&]+&RelayState=a%20state%2F%2B&SigAlg=[^&]+$/);
    const key = new X509Certificate(own.certificate.cert).publicKey;
    const bytes = Buffer.from(decodeURIComponent(signature), "base64");
    expect(verify("sha256", Buffer.from(covered), key, bytes)).toBe(true);
    const xml = Buffer.from(form?.fields.SAMLRequest ?? "", "base64").toString();
    const checker = new SignedXml({ publicCert: own.certificate.cert });
    checker.loadSignature(/<Signature[\s\S]*<\/Signature>/.exec(xml)?.[0] ?? "");
    expect(checker.checkSignature(xml)).toBe(true);
    expect(providerOf(one).metadata()).toContain('AuthnRequestsSigned="true"');
    expect(providerOf(one).metadata()).toContain(
      new X509Certificate(own.certificate.cert).raw.toString("base64"),
    );
    one.close();
  });
});

test("two providers of one issuer are told apart by audience", async () => {
  const both = await createIdentity(
    [settings({ name: "a", audience: ["https://other.example.com"] }), settings({ name: "b" })],
    {
      publicUrl: () => publicUrl,
    },
  );
  expect((await both.authenticate(asPassword(idp.sign(assertionXml())))).provider).toBe("b");
  const foreign = idp.sign(assertionXml({ audience: ["https://third.example.com"] }));
  await refused(both.authenticate(asPassword(foreign)), "TOKEN_AUDIENCE");
  both.close();
});

describe("whatever is changed", () => {
  const response = answer();

  test("a mutated response is refused, or says exactly what was signed", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.nat(response.length - 1),
        fc.constantFrom("delete", "insert", "replace", "double"),
        fc.constantFrom(
          "a",
          "<",
          ">",
          "&",
          '"',
          "'",
          " ",
          "=",
          "/",
          "!",
          "\u0000",
          "é",
          "<!---->",
          "<x/>",
          "]]>",
          "admin",
        ),
        async (at, what, piece) => {
          const head = response.slice(0, at);
          const tail = response.slice(at);
          const mutated = {
            delete: head + tail.slice(1),
            insert: head + piece + tail,
            replace: head + piece + tail.slice(1),
            double: head + tail.slice(0, 40) + tail,
          }[what];
          const one = await open();
          try {
            const { subject, groups, email } = await providerOf(one).finish(encode(mutated), request);
            expect({ subject, groups, email }).toEqual({
              subject: "alice",
              groups: ["agents", "dba"],
              email: "alice@example.com",
            });
            accepted += 1;
          } catch (error) {
            expect(error).toMatchObject({ name: "IdentityError" });
          } finally {
            one.close();
          }
        },
      ),
      { numRuns: 300 },
    );
    // Some changes touch nothing that matters: the response's own ID, or white space in a tag.
    expect(accepted).toBeLessThan(100);
  });

  test("any text is read, or refused with an IdentityError", () => {
    const piece = fc.constantFrom(
      "<a>",
      "</a>",
      "<a/>",
      "<b c='d'>",
      "</b>",
      "&lt;",
      "&#x41;",
      "&",
      "<!--",
      "-->",
      "<?",
      "?>",
      "<![CDATA[",
      "]]>",
      "xmlns:p='u'",
      "<p:a>",
      " ",
      "t",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((parts) => parts.join("")),
        ),
        (text) => {
          try {
            readXml(text, messageLimits);
          } catch (error) {
            expect(error).toMatchObject({ name: "IdentityError", code: "TOKEN_MALFORMED" });
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});
