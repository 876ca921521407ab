/** What people agree to, made comparable: a message and what was judged of it, as digests. */
import { createHash, type Hash } from "node:crypto";
import { type BindingParts, bindingOf as digestOf, shapeOf as digestOfShape } from "../../approvals/index.ts";
import type { Requester } from "../../facts/approval.ts";
import type { Principal } from "../../facts/principal.ts";
import type { BoundValues, HeldMessage, HeldPart } from "./holding.ts";
import type { Guarding, Judgement } from "./judgement.ts";
import { getPortal, maxLevels, type PreparedStatement } from "./names.ts";
import type { Walk } from "./state.ts";

/** The texts that a statement runs: its own, and those of the statements and cursors that it names. */
export function textsOf(walk: Walk, statement: PreparedStatement, level = 0): string[] {
  const texts = [statement.text];
  for (const { kind, name } of statement.shape.names) {
    if (name === null || level === maxLevels || (kind !== "execute" && kind !== "fetch")) continue;
    const used =
      kind === "execute" ? walk.names.statements.get(name) : getPortal(walk.names, name)?.statement;
    if (used !== undefined) texts.push(...textsOf(walk, used, level + 1));
  }
  return texts;
}

/** Of the bytes alone: text, types, values and formats. */
export function partKey(
  texts: readonly string[],
  statement: PreparedStatement,
  bound: BoundValues | null,
): string {
  const hash = createHash("sha256");
  for (const text of texts) add(hash, text);
  add(hash, JSON.stringify([statement.declared, bound?.parameterFormats, bound?.resultFormats]));
  for (const value of bound?.parameters ?? []) {
    if (value === null) hash.update("-1;");
    else hash.update(`${value.length};`).update(value);
  }
  return hash.digest("hex");
}

/** Of what was judged: objects, masks, limits, rules and demands. The same as long as nothing of it is different. */
export function judgedKey(judgement: Judgement): string {
  const { facts, decision, plan, masked, touched, outputs } = judgement;
  const { inTransaction: _, ...lasting } = facts;
  return createHash("sha256")
    .update(
      JSON.stringify([
        lasting,
        decision?.verdict,
        decision?.rules,
        decision?.limits,
        decision?.approvers,
        decision?.unmask,
        plan,
        masked,
        outputs,
        touched.map(({ uses, assignments, parameterTypes }) => [uses, assignments, parameterTypes]),
      ]),
    )
    .digest("hex");
}

/** Of a whole message under the policy, search_path and role of the moment. */
export function messageKey(guard: Guarding, message: HeldMessage): string {
  const hash = createHash("sha256");
  add(hash, JSON.stringify([message.protocol, guard.policies.current.digest, guard.searchPath, guard.role]));
  for (const part of message.parts) {
    add(hash, partKey(part.texts, part.statement, part.bound));
    add(hash, judgedKey(part.judgement));
  }
  return hash.digest("hex");
}

/** What is bound (docs/approvals.md): the message, who sent it, where it would run, and what its names stand for. */
export function bindingOf(guard: Guarding, message: HeldMessage, definitions: string): string {
  return digestOf(partsOf(guard, message, (part) => [judgedKey(part.judgement), definitions]));
}

/**
 * For approvals of a shape: everything but literals and values. null: a statement has no fingerprint, runs another one, or holds
 * literals that say what it does (a program, a function's body, an option). The fingerprint alone is for grouping: lists of any length
 * have the same.
 */
export function shapeOf(guard: Guarding, message: HeldMessage, definitions: string): string | null {
  if (
    message.parts.some(({ statement: { shape } }) => shape.names.length > 0 || shape.facts.literalSensitive)
  )
    return null;
  return digestOfShape(
    partsOf(guard, message, ({ statement, judgement: { facts, decision } }) => [
      definitions,
      statement.shape.stripped,
      [facts.effects, facts.reads, facts.writes, facts.columns, facts.functions, facts.unboundedWrite],
      decision?.approvers,
      decision?.limits,
    ]),
  );
}

function partsOf(
  guard: Guarding,
  { parts }: HeldMessage,
  objects: (part: HeldPart) => unknown,
): BindingParts {
  const { session, principal, policies, searchPath, role } = guard;
  return {
    database: session.database,
    login: session.role,
    searchPath,
    role,
    policy: policies.current.digest,
    limits: noLimits,
    requester: requesterOf(principal),
    statements: parts.map((part) => ({
      sql: part.texts.join("\0"),
      fingerprint: part.statement.shape.fingerprint,
      types: typesOf(part),
      values: part.bound?.parameters ?? [],
      formats: part.bound?.parameterFormats ?? [],
      resultFormats: part.bound?.resultFormats ?? [],
      objects: JSON.stringify(objects(part)),
      masked: part.judgement.masked,
    })),
  };
}

/** Each statement has limits of its own, in its `objects`. */
const noLimits = { rows: null, bytes: null, timeoutMs: null, affectedRows: null, perMinute: null };

/** As the client declared them, and as the server understood what it left open. */
function typesOf({ statement, judgement }: HeldPart): number[] {
  return [...statement.declared, -1, ...judgement.touched.flatMap(({ parameterTypes }) => parameterTypes)];
}

export function requesterOf(principal: Principal): Requester {
  const { subject, issuer, provider, email, kind, groups, actor } = principal;
  return { subject, issuer, provider, email, kind, groups, actor };
}

/** Length first: no two lists of texts read the same. */
function add(hash: Hash, text: string): void {
  hash.update(`${Buffer.byteLength(text)}:`).update(text);
}
