/** What a verified assertion says (saml-core section 2.3, saml-profiles section 4.1.4), and every condition it makes. */
import { IdentityError, quote } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { bearer, ns, transientId } from "./names.ts";
import { attribute, childrenOf, type XmlElement } from "./xml.ts";

/** By how much the clocks of provider and gateway may differ, in ms. */
const toleranceMs = 30_000;
/** An assertion that could be shown for longer than this is no ticket but a password. */
const maxLifeMs = 86_400_000;
const maxAttributes = 256;
const maxValues = 1000;
/** xs:dateTime in UTC, as saml-core section 1.3.3 asks for. */
const timePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

export interface Expectation {
  /** entityID of the provider whose key made the signature. */
  readonly issuer: string;
  /** Any one of these must be named by each audience restriction. */
  readonly audience: readonly string[];
  /** Addresses of ours; the assertion must have been made for one of them. */
  readonly recipients: readonly string[];
  /** The request it must answer; null: any, or none. */
  readonly request: string | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface AssertionFacts {
  readonly id: string;
  readonly nameId: string;
  readonly nameIdTransient: boolean;
  /** Seconds since the epoch. */
  readonly issued: number;
  readonly authTime: number;
  /** Milliseconds since the epoch: from then on the assertion is not accepted. */
  readonly until: number;
  /** Seconds since the epoch; null: the provider sets no end to the session. */
  readonly sessionEnds: number | null;
  readonly sessionIndex: string | null;
  readonly context: string | null;
  /** Every attribute by its Name, each a list of texts. */
  readonly attributes: JsonObject;
}

/**
 * Reads an assertion whose signature was verified. `assertion`: the element as it was signed.
 * Throws IdentityError: TOKEN_ISSUER, TOKEN_AUDIENCE, TOKEN_RECIPIENT, TOKEN_REQUEST, TOKEN_EXPIRED, TOKEN_NOT_YET_VALID, TOKEN_BOUND,
 * TOKEN_CLAIMS.
 */
export function readAssertion(assertion: XmlElement, expected: Expectation): AssertionFacts {
  if (assertion.namespace !== ns.assertion || assertion.name !== "Assertion")
    throw claims("not an assertion of SAML 2.0");
  if (attribute(assertion, "Version") !== "2.0") throw claims("the assertion's Version is not 2.0");
  const id = attribute(assertion, "ID") ?? "";
  if (!/^[\w.:-]{1,256}$/.test(id)) throw claims("the assertion has no usable ID");
  const issued = readTime(assertion, "IssueInstant");
  if (issued === null) throw claims("the assertion has no IssueInstant");
  if (issued > expected.now + toleranceMs) throw early("IssueInstant");
  const issuer = only(assertion, "Issuer");
  if (issuer.text !== expected.issuer)
    throw new IdentityError("TOKEN_ISSUER", `SAML: issuer ${quote(issuer.text)} is another one`);
  const untilConditions = readConditions(only(assertion, "Conditions"), expected);
  const { nameId, transient, until } = readSubject(only(assertion, "Subject"), expected);
  const statements = childrenOf(assertion, ns.assertion, "AuthnStatement");
  const [statement] = statements;
  if (statement === undefined || statements.length !== 1)
    throw claims("the assertion has not exactly one AuthnStatement");
  const authTime = readTime(statement, "AuthnInstant");
  if (authTime === null) throw claims("the assertion has no AuthnInstant");
  if (authTime > expected.now + toleranceMs) throw early("AuthnInstant");
  const sessionEnds = readTime(statement, "SessionNotOnOrAfter");
  if (sessionEnds !== null && expected.now - toleranceMs >= sessionEnds) throw over("SessionNotOnOrAfter");
  const end = Math.min(until, untilConditions ?? until);
  if (end - issued > maxLifeMs) throw claims("the assertion may be used for longer than a day");
  return {
    id,
    nameId,
    nameIdTransient: transient,
    issued: Math.floor(issued / 1000),
    authTime: Math.floor(authTime / 1000),
    until: end,
    sessionEnds: sessionEnds === null ? null : Math.floor(sessionEnds / 1000),
    sessionIndex: attribute(statement, "SessionIndex"),
    context: readContext(statement),
    attributes: readAttributes(assertion),
  };
}

/** Section 2.5.1: all conditions must hold, and one that is not understood leaves the assertion's validity open. */
function readConditions(conditions: XmlElement, expected: Expectation): number | null {
  const until = checkWindow(conditions, expected.now);
  const restrictions = childrenOf(conditions, ns.assertion, "AudienceRestriction");
  if (restrictions.length === 0)
    throw new IdentityError("TOKEN_AUDIENCE", "SAML: the assertion is restricted to no audience");
  for (const restriction of restrictions) {
    const named = childrenOf(restriction, ns.assertion, "Audience").map((audience) => audience.text);
    if (!named.some((audience) => expected.audience.includes(audience))) {
      const shown = named.slice(0, 3).map(quote).join(", ");
      throw new IdentityError("TOKEN_AUDIENCE", `SAML: the assertion is for ${shown || "nobody"}`);
    }
  }
  for (const child of conditions.children) {
    const known = ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"].includes(child.name);
    if (child.namespace !== ns.assertion || !known)
      throw claims(`the assertion has a condition that is not understood (${quote(child.name)})`);
  }
  return until;
}

/** Sections 2.4.1.2 and saml-profiles 4.1.4.2: one confirmation that holds is enough. */
function readSubject(
  subject: XmlElement,
  expected: Expectation,
): { readonly nameId: string; readonly transient: boolean; readonly until: number } {
  if (childrenOf(subject, ns.assertion, "EncryptedID").length > 0) throw claims("the NameID is encrypted");
  const nameId = only(subject, "NameID");
  const confirmations = childrenOf(subject, ns.assertion, "SubjectConfirmation");
  if (confirmations.length === 0) throw claims("the subject is not confirmed");
  let refusal: IdentityError | null = null;
  for (const confirmation of confirmations) {
    if (attribute(confirmation, "Method") !== bearer) {
      refusal ??= new IdentityError("TOKEN_BOUND", "SAML: the subject's confirmation is not the bearer's");
      continue;
    }
    try {
      const until = checkConfirmation(only(confirmation, "SubjectConfirmationData"), expected);
      return { nameId: nameId.text, transient: attribute(nameId, "Format") === transientId, until };
    } catch (error) {
      if (!(error instanceof IdentityError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal ?? claims("the subject is not confirmed");
}

function checkConfirmation(data: XmlElement, expected: Expectation): number {
  const recipient = attribute(data, "Recipient");
  if (recipient === null || !expected.recipients.includes(recipient))
    throw new IdentityError(
      "TOKEN_RECIPIENT",
      `SAML: the assertion is to be delivered to ${recipient === null ? "nobody" : quote(recipient)}`,
    );
  const until = checkWindow(data, expected.now);
  if (until === null) throw claims("the subject's confirmation has no NotOnOrAfter");
  const answers = attribute(data, "InResponseTo");
  if (expected.request !== null && answers !== expected.request)
    throw new IdentityError("TOKEN_REQUEST", "SAML: the assertion answers another request, or none");
  return until;
}

/** @returns NotOnOrAfter in ms since the epoch; null: none. */
function checkWindow(element: XmlElement, now: number): number | null {
  const from = readTime(element, "NotBefore");
  const until = readTime(element, "NotOnOrAfter");
  if (from !== null && now + toleranceMs < from) throw early("NotBefore");
  if (until !== null && now - toleranceMs >= until) throw over("NotOnOrAfter");
  return until;
}

function readTime(element: XmlElement, name: string): number | null {
  const text = attribute(element, name);
  if (text === null) return null;
  const time = timePattern.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw claims(`${name} is not a time in UTC`);
  return time;
}

function readContext(statement: XmlElement): string | null {
  const [context] = childrenOf(statement, ns.assertion, "AuthnContext");
  const [reference] = context === undefined ? [] : childrenOf(context, ns.assertion, "AuthnContextClassRef");
  return reference?.text ?? null;
}

/** Section 2.7.3. Values are texts; elements inside a value (a NameID, say) are not read. */
function readAttributes(assertion: XmlElement): JsonObject {
  const attributes: Record<string, readonly string[]> = {};
  const statements = childrenOf(assertion, ns.assertion, "AttributeStatement");
  if (statements.some((one) => childrenOf(one, ns.assertion, "EncryptedAttribute").length > 0))
    throw claims("an attribute is encrypted");
  const all = statements.flatMap((one) => childrenOf(one, ns.assertion, "Attribute"));
  if (all.length > maxAttributes) throw claims(`more than ${maxAttributes} attributes`);
  for (const one of all) {
    const name = attribute(one, "Name") ?? "";
    if (name === "" || name === "__proto__" || name.length > 1024)
      throw claims("an attribute without a usable Name");
    const values = childrenOf(one, ns.assertion, "AttributeValue")
      .filter((value) => value.children.length === 0)
      .map((value) => value.text);
    const joined = [...(Object.hasOwn(attributes, name) ? (attributes[name] ?? []) : []), ...values];
    if (joined.length > maxValues) throw claims(`attribute ${quote(name)} has more than ${maxValues} values`);
    attributes[name] = joined;
  }
  return attributes;
}

function only(element: XmlElement, name: string): XmlElement {
  const found = childrenOf(element, ns.assertion, name);
  const [first] = found;
  if (first === undefined || found.length !== 1) throw claims(`not exactly one ${name} in ${element.name}`);
  return first;
}

function early(what: string): IdentityError {
  return new IdentityError("TOKEN_NOT_YET_VALID", `SAML: ${what} is in the future`);
}

function over(what: string): IdentityError {
  return new IdentityError("TOKEN_EXPIRED", `SAML: ${what} is over`);
}

function claims(cause: string): IdentityError {
  return new IdentityError("TOKEN_CLAIMS", `SAML: ${cause}`);
}
