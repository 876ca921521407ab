/** A Postern token as it lies in the store: everything but the token itself. */
import { z } from "zod";
import type { Principal, TokenSource } from "../../facts/principal.ts";
import type { Json } from "../../store/types.ts";
import { IdentityError } from "../errors.ts";
import { deepFreeze } from "../json.ts";

export type Audience = "wire" | "api" | "mcp";
export const audiences: readonly Audience[] = ["wire", "api", "mcp"];

const actor = z.strictObject({ subject: z.string(), issuer: z.string().nullable() });
const source = z.strictObject({
  jti: z.string().nullable(),
  sha256: z.string(),
  input: z.string().exactOptional(),
  twin: z.string().exactOptional(),
  issued: z.number().nullable(),
});
const base64 = z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/);

const schema = z.strictObject({
  v: z.literal(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  scram: z.strictObject({
    salt: base64,
    iterations: z.int().min(4096),
    storedKey: base64,
    serverKey: base64,
  }),
  /** null: any. */
  audience: z.array(z.enum(["wire", "api", "mcp"])).nullable(),
  database: z.string().nullable(),
  agent: z.string().nullable(),
  /** x5t#S256 of the client certificate it is good with (RFC 8705 section 3.1). */
  certificate: z.string().nullable(),
  /** Seconds since the epoch. */
  issued: z.int(),
  expires: z.int(),
  /** When the first of its sources ends: no rotation goes beyond. */
  sourceExpires: z.int(),
  /** The first token of those that took each other's place; null: itself. */
  head: source.nullable(),
  from: z.array(source).max(16),
  principal: z.strictObject({
    subject: z.string(),
    issuer: z.string(),
    email: z.string().nullable(),
    kind: z.enum(["human", "agent", "service"]),
    groups: z.array(z.string()),
    actor: z.array(actor),
    provider: z.string(),
    claims: z.record(z.string(), z.unknown()),
  }),
});

export type TokenRecord = z.output<typeof schema>;

/** As plain JSON for the store. */
export function encodeRecord(record: TokenRecord): Json {
  return JSON.parse(JSON.stringify(record)) as Json;
}

/** Reads what the store gave. Throws IdentityError TOKEN_UNKNOWN for what this version cannot read. */
export function decodeRecord(value: unknown): TokenRecord {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new IdentityError("TOKEN_UNKNOWN", "the token's record in the store cannot be read");
  return parsed.data;
}

/** The principal a token stands for: the one it was issued for, with the token's own facts. */
export function principalOf(id: string, record: TokenRecord): Principal {
  const from: TokenSource[] = [...record.from];
  if (record.head !== null) from.push(record.head);
  return deepFreeze<Principal>({
    ...record.principal,
    token: {
      jti: id,
      sha256: record.sha256,
      issued: record.issued,
      expires: record.expires,
      from,
    },
  });
}
