/** A principal and a session as tests and `--as` write them. */

import type { Principal } from "../../facts/principal.ts";
import type { Claimed } from "../../facts/session.ts";
import { principalKinds, vias } from "../condition/facts.ts";
import type { SessionFacts } from "../types.ts";
import type { YamlNode } from "../yaml/document.ts";
import type { Fields, Reader, Spot } from "../yaml/reader.ts";

const known = ["subject", "issuer", "email", "kind", "groups", "actor", "claims", "provider"] as const;

/** The principal of a test. What is left out is the least: kind agent, no groups. null: a mistake was noted. */
export function readPrincipal(reader: Reader, spot: Spot): Principal | null {
  const fields = reader.map(
    spot,
    known,
    "a principal such as { subject: a1, kind: agent, groups: [agents] }",
  );
  if (fields === null) return null;
  const word = (field: Spot | undefined, otherwise: string) =>
    field === undefined ? otherwise : reader.text(field, "a text");
  const subject = word(fields.subject, "test");
  const issuer = word(fields.issuer, "https://idp.example.com");
  const email = fields.email === undefined ? null : reader.text(fields.email, "an address");
  const provider = word(fields.provider, "test");
  const kind = fields.kind === undefined ? "agent" : reader.choice(fields.kind, principalKinds);
  const groups = fields.groups === undefined ? [] : reader.texts(fields.groups, "a group", 0, 1000);
  const claims = fields.claims === undefined ? {} : plainMap(reader, fields.claims);
  const actor = fields.actor === undefined ? [] : readActors(reader, fields.actor);
  if (
    subject === null ||
    issuer === null ||
    provider === null ||
    kind === null ||
    groups === null ||
    claims === null
  )
    return null;
  const token = { jti: null, sha256: "0".repeat(64), issued: null, expires: 253_402_300_799 };
  return { subject, issuer, email, provider, kind, groups, actor, claims, token };
}

function readActors(reader: Reader, spot: Spot): Principal["actor"] {
  return (reader.list(spot, "a list of { subject, issuer }", 0, 20) ?? []).flatMap((item) => {
    const fields = reader.map(item, ["subject", "issuer"], "{ subject, issuer }");
    if (fields?.subject === undefined) return [];
    const subject = reader.text(fields.subject, "a text");
    const issuer = fields.issuer === undefined ? null : reader.text(fields.issuer, "a text");
    return subject === null ? [] : [{ subject, issuer }];
  });
}

export const sessionKeys = ["role", "application", "client_ip", "via", "tls", "claimed"] as const;

/** Session facts laid over `base`. */
export function readSession(reader: Reader, spot: Spot, base: SessionFacts): SessionFacts {
  const fields: Fields<(typeof sessionKeys)[number]> =
    reader.map(spot, sessionKeys, "session facts such as { via: mcp, client_ip: 10.0.0.1 }") ?? {};
  const word = (field: Spot | undefined, otherwise: string) =>
    (field === undefined ? null : reader.text(field, "a text")) ?? otherwise;
  return {
    database: base.database,
    role: word(fields.role, base.role),
    application: fields.application === undefined ? base.application : word(fields.application, ""),
    clientIp: word(fields.client_ip, base.clientIp),
    via: (fields.via === undefined ? null : reader.choice(fields.via, vias)) ?? base.via,
    tls: (fields.tls === undefined ? null : reader.flag(fields.tls)) ?? base.tls,
    claimed: fields.claimed === undefined ? base.claimed : readClaimed(reader, fields.claimed),
  };
}

function readClaimed(reader: Reader, spot: Spot): Claimed {
  const keys = ["agent", "model", "run", "intent", "traceparent", "unmask"] as const;
  const fields = reader.map(spot, keys, "{ agent, model, run, intent, traceparent, unmask }") ?? {};
  const claimed: { [Key in (typeof keys)[number]]?: string } = {};
  for (const key of keys) {
    const field = fields[key];
    const text = field === undefined ? null : reader.text(field, "a text");
    if (text !== null) claimed[key] = text;
  }
  return claimed;
}

/** A mapping as a plain value; at most 16 levels. */
function plainMap(reader: Reader, spot: Spot): Record<string, unknown> | null {
  if (spot.node.kind !== "map")
    return reader.fail(spot, "is no mapping", "claims such as { department: finance }");
  return plain(reader, spot.node, 0) as Record<string, unknown>;
}

function plain(reader: Reader, node: YamlNode, depth: number): unknown {
  if (depth > 16 || node.kind === "none") return null;
  if (node.kind === "scalar") return node.value;
  const inner = (raw: unknown) => plain(reader, reader.source.node(raw, node.offset), depth + 1);
  if (node.kind === "list") return node.items.map(inner);
  return Object.fromEntries(node.pairs.map(({ key, value }) => [key, inner(value)]));
}

/** A session of which nothing is known but the database. */
export function plainSession(database: string): SessionFacts {
  return {
    database,
    role: "",
    application: null,
    clientIp: "127.0.0.1",
    via: "wire",
    tls: true,
    claimed: {},
  };
}
