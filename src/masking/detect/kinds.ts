/** Kinds of personal data and secrets that can be told by their content. */

export const builtinKinds = ["email", "card", "iban", "ssn", "phone", "ipv4", "jwt", "cloud_key"] as const;
export type BuiltinKind = (typeof builtinKinds)[number];

/** What is known of a kind. */
export interface KindFacts {
  /** How sure one hit is by itself: 1 where a checksum or an unmistakable form speaks for it. */
  readonly certainty: number;
  /** Words of column names that speak for it. */
  readonly context: readonly string[];
  /** In words, for findings. */
  readonly what: string;
}

export const kindFacts: Readonly<Record<BuiltinKind, KindFacts>> = {
  email: { certainty: 0.95, context: ["email", "mail", "contact", "login"], what: "e-mail addresses" },
  card: {
    certainty: 0.9,
    context: ["card", "pan", "cc", "credit", "payment", "debit"],
    what: "payment card numbers",
  },
  iban: { certainty: 1, context: ["iban", "account", "bank", "payout"], what: "IBANs" },
  ssn: { certainty: 0.6, context: ["ssn", "social", "tax", "tin"], what: "US social security numbers" },
  phone: {
    certainty: 0.5,
    context: ["phone", "mobile", "tel", "telephone", "cell", "fax", "contact", "msisdn"],
    what: "phone numbers",
  },
  ipv4: {
    certainty: 0.5,
    context: ["ip", "addr", "address", "host", "client", "remote"],
    what: "IPv4 addresses",
  },
  jwt: { certainty: 1, context: ["token", "jwt", "session", "auth", "secret"], what: "JSON web tokens" },
  cloud_key: {
    certainty: 1,
    context: ["key", "token", "secret", "credential", "api", "password"],
    what: "keys of cloud services",
  },
};

/** What a name of a column adds. */
export const contextBonus = 0.35;

/** Splits a column's name into words: customerEmail, customer_email and CUSTOMER-EMAIL alike. */
export function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
}

/** Whether a column's name speaks for a kind. */
export function namesKind(name: string, kind: BuiltinKind): boolean {
  const words = wordsOf(name);
  const joined = words.join("");
  return kindFacts[kind].context.some((word) =>
    // Short words only as words: "description" holds "ip".
    word.length < 4 ? words.includes(word) : joined.includes(word),
  );
}
