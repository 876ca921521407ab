import type { StatementFacts } from "../../src/facts/effects.ts";
import type { Principal } from "../../src/facts/principal.ts";
import {
  type CompiledPolicy,
  type DecideInput,
  loadPolicy,
  PolicyError,
  type SessionFacts,
} from "../../src/policy/index.ts";

export function principal(given: Partial<Principal> = {}): Principal {
  return {
    subject: "a1",
    issuer: "https://idp.example.com",
    email: null,
    kind: "agent",
    groups: ["agents"],
    actor: [],
    provider: "corp",
    claims: {},
    token: { jti: null, sha256: "00", issued: null, expires: 2_000_000_000 },
    ...given,
  };
}

export function session(given: Partial<SessionFacts> = {}): SessionFacts {
  return {
    database: "shop",
    role: "shop_reader",
    application: null,
    clientIp: "10.1.2.3",
    via: "wire",
    tls: true,
    claimed: {},
    ...given,
  };
}

export function statement(given: Partial<StatementFacts> = {}): StatementFacts {
  return {
    kind: "select",
    command: "SELECT",
    effects: ["read"],
    reads: ["public.orders"],
    writes: [],
    columns: ["public.orders.id"],
    functions: [],
    labels: [],
    labelsInPredicates: [],
    unboundedWrite: false,
    hasWhere: true,
    hasLimit: false,
    statements: 1,
    inTransaction: false,
    bytes: 42,
    fingerprint: null,
    ...given,
  };
}

interface Given {
  readonly principal?: Partial<Principal>;
  readonly session?: Partial<SessionFacts>;
  readonly statement?: Partial<StatementFacts>;
  readonly estimate?: DecideInput["estimate"];
  readonly now?: string;
}

export function input(given: Given = {}): DecideInput {
  return {
    principal: principal(given.principal),
    session: session(given.session),
    statement: statement(given.statement),
    ...(given.estimate === undefined ? {} : { estimate: given.estimate }),
    now: new Date(given.now ?? "2026-11-23T10:00:00Z"),
  };
}

export function policy(text: string): CompiledPolicy {
  return loadPolicy([{ file: "p.yaml", text }]);
}

/** A policy of rules only, each "name: then when"; `default` deny. */
export function rules(...lines: readonly string[]): CompiledPolicy {
  return policy(rulesText(lines));
}

export function rulesText(lines: readonly string[], top = "version: 1"): string {
  const items = lines.map((line) => {
    const [, name = "", then = "", when = "", extra = ""] =
      /^(\S+): (\S+) (.*?)(?: \| (.*))?$/.exec(line) ?? [];
    const people = then === "approve" ? ", approvers: { groups: [stewards] }" : "";
    const more = extra === "" ? "" : `, ${extra}`;
    return `  - { name: ${name}, then: ${then}, when: ${JSON.stringify(when)}${people}${more} }\n`;
  });
  return `${top}\nrules:\n${items.join("")}`;
}

/** The problems of policy texts as "line:column key: what; expected …"; [] when they load. */
export function problems(text: string): string[] {
  try {
    policy(text);
    return [];
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    return error.message.split("\n").map((line) => line.replace(/^p\.yaml:/, ""));
  }
}
