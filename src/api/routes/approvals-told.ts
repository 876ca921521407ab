/** Approvals as the API tells them to one caller. */
import type { z } from "zod";
import { inGroups, mayDecide } from "../../approvals/index.ts";
import type { Approval, EffectPreview } from "../../facts/approval.ts";
import type { Caller } from "../env.ts";
import { seesAll } from "../live/hub.ts";
import type { RestDeps } from "../rest.ts";
import type { approvalEvent, approval as approvalSchema, effectPreview } from "../schema/approvals.ts";

type Told = z.output<typeof approvalSchema>;

/** As the approvals room decides it, and the role where postern.yaml names groups of approvers. */
export function canDecide(
  approval: Approval,
  caller: Caller,
  deps: Pick<RestDeps, "stepUpSeconds" | "roles">,
  verdict: "approve" | "deny",
): ReturnType<typeof mayDecide> {
  const { principal, authTime, roles } = caller;
  const settings = { stepUpMs: deps.stepUpSeconds * 1000 };
  const may = mayDecide(approval, { principal, authTime }, settings, Date.now(), verdict);
  const known = may.ok || may.code === "STEP_UP_REQUIRED";
  if (known && deps.roles().approvers.length > 0 && !roles.has("approver"))
    return { ok: false, code: "NOT_APPROVER", message: "this needs the role approver (admin.approvers)" };
  return may;
}

export function tellApproval(
  approval: Approval,
  caller: Caller,
  deps: Pick<RestDeps, "stepUpSeconds" | "roles">,
): Told {
  const { requester, statements, transaction, demands, votes, missing, warnings, preview } = approval;
  return {
    // What this version of the API has no schema for is told all the same.
    ...approval,
    requester: told(requester),
    claimed: { ...approval.claimed },
    statements: statements.map(({ parameters, ...one }) => ({
      ...one,
      effects: [...one.effects],
      reads: [...one.reads],
      writes: [...one.writes],
      columns: [...one.columns],
      functions: [...one.functions],
      labels: [...one.labels],
      masked: [...one.masked],
      parameters: parameters.map(({ type, text, bytes }) => ({
        type,
        ...(text === undefined ? {} : { text }),
        ...(bytes === undefined ? {} : { bytes }),
      })),
    })),
    transaction: transaction === null ? null : { ...transaction, locks: [...transaction.locks] },
    demands: demands.map((one) => ({ ...one, groups: [...one.groups] })),
    votes: votes.map((one) => ({ ...one, approver: { ...one.approver }, scope: { ...one.scope } })),
    missing: missing.map((one) => ({ ...one, groups: [...one.groups] })),
    rules: [...approval.rules],
    limits: { ...approval.limits },
    warnings: warnings.map((one) => ({ ...one })),
    preview: preview === null ? null : tellPreview(preview, maySample(approval, caller)),
    scope: { ...approval.scope },
    can: tellCan(approval, caller, deps),
  };
}

function tellCan(
  approval: Approval,
  caller: Caller,
  deps: Pick<RestDeps, "stepUpSeconds" | "roles">,
): Told["can"] {
  const approve = canDecide(approval, caller, deps, "approve");
  const deny = canDecide(approval, caller, deps, "deny");
  const stepUp = !deny.ok && deny.code === "STEP_UP_REQUIRED";
  const fits = (may: typeof approve) => may.ok || may.code === "STEP_UP_REQUIRED";
  const why = fits(approve) || approve.ok ? null : approve;
  return {
    approve: fits(approve),
    deny: fits(deny),
    why: why === null ? null : why.message,
    code: why === null ? null : why.code,
    stepUp,
  };
}

/**
 * Rows are for those who may decide, and for auditors: who asked may be somebody who may not read the table at all, and would otherwise
 * only have to ask for a change of it.
 */
function maySample(approval: Approval, caller: Caller): boolean {
  const { principal } = caller;
  return (
    seesAll(caller) ||
    (principal.kind === "human" && approval.demands.some(({ groups }) => inGroups(principal, groups)))
  );
}

/** A preview as the API tells it; `rows` false: without its sample. */
export function tellPreview(preview: EffectPreview, rows = true): z.output<typeof effectPreview> {
  const { notes } = preview;
  const sample = rows ? preview.sample : null;
  return {
    ...preview,
    notes: [...notes],
    sample:
      sample === null
        ? null
        : {
            columns: sample.columns.map((one) => ({ ...one })),
            before: sample.before.map((row) => [...row]),
            after: sample.after.map((row) => [...row]),
            truncated: sample.truncated,
          },
  };
}

/** The event of the live stream: enough to show it and to know that it must be looked at. */
export function approvalChanged(
  approval: Approval,
  caller: Caller,
  deps: Pick<RestDeps, "stepUpSeconds" | "roles">,
): z.output<typeof approvalEvent> {
  const { id, kind, state, mode, created, expires, decided, requester, session, request } = approval;
  const { approve, why } = tellCan(approval, caller, deps);
  return {
    id,
    kind,
    state,
    mode,
    created,
    expires,
    decided,
    requester: told(requester),
    session,
    request,
    database: approval.database,
    command: approval.statements[0]?.command ?? null,
    message: approval.message,
    missing: approval.missing.map((one) => ({ ...one, groups: [...one.groups] })),
    url: approval.url,
    can: { approve, why },
  };
}

function told(requester: Approval["requester"]): Told["requester"] {
  return {
    ...requester,
    groups: [...requester.groups],
    actor: requester.actor.map(({ subject, issuer }) => ({ subject, issuer })),
  };
}
