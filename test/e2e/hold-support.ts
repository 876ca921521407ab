/** People and policies for tests of held statements. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Approval } from "../../src/facts/approval.ts";
import type { Principal } from "../../src/facts/principal.ts";
import type { TestPostern } from "../support/postern.ts";

export const holdPolicy = (within = "30s", extra = ""): string => `
version: 1
default: deny
rules:
  - name: reads
    when: 'statement.effects == ["read"]'
    then: allow
  - name: notes
    when: '"write" in statement.effects && statement.writes == ["public.notes"]'
    then: allow
  - name: control
    when: 'statement.effects == []'
    then: allow
  - name: writes-need-a-person
    when: '"write" in statement.effects && statement.writes.exists(w, w != "public.notes")'
    then: approve
    approvers: { groups: [stewards], count: 1, within: ${within} }
    message: "writes need a person"
${extra}`;

export const tables = `
  create table accounts(id int primary key, email text, balance int not null);
  create table notes(text text);
  insert into accounts select g, 'user' || g || '@example.com', 100 from generate_series(1, 10) g`;

/** A person who has just shown themselves. */
export function person(
  subject: string,
  groups: readonly string[] = ["stewards"],
): { principal: Principal; authTime: number } {
  const now = Math.floor(Date.now() / 1000);
  return {
    authTime: now,
    principal: {
      subject,
      issuer: "https://idp.test",
      email: `${subject}@example.com`,
      kind: "human",
      groups,
      actor: [],
      provider: "corp",
      claims: { auth_time: now },
      token: { jti: null, sha256: "00", issued: now, expires: now + 3600 },
    },
  };
}

/** The approval that waits; the newest, if there are several. `mode`: only those of this one. */
export async function pending(
  postern: TestPostern,
  { mode, kind = "statement" }: { mode?: Approval["mode"]; kind?: Approval["kind"] } = {},
  timeoutMs = 15_000,
): Promise<Approval> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const { items } = await postern.approvals.list({ state: "pending", kind, limit: 100 });
    const last = items.findLast((one) => mode === undefined || one.mode === mode);
    if (last !== undefined) return last;
    if (Date.now() > deadline) throw new Error("nothing waits for approval");
    await sleep(20);
  }
}

/** Waits until an approval is in a state. */
export async function reaches(
  postern: TestPostern,
  id: string,
  state: Approval["state"],
  timeoutMs = 15_000,
): Promise<Approval> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const approval = await postern.approvals.get(id);
    if (approval?.state === state) return approval;
    if (Date.now() > deadline) throw new Error(`approval ${id} is ${approval?.state}, not ${state}`);
    await sleep(20);
  }
}

export const approve = (postern: TestPostern, id: string, who = "stella") =>
  postern.approvals.decide(id, person(who), "approve");

export const deny = (postern: TestPostern, id: string, reason = "not today", who = "stella") =>
  postern.approvals.decide(id, person(who), "deny", { reason });
