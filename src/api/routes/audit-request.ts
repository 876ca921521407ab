/** Everything on one client message as the API tells it. */
import type { z } from "zod";
import { sentence } from "../../audit/read/sentence.ts";
import type { Shown } from "../../audit/read/show.ts";
import type { Undone } from "../../audit/read/undone.ts";
import { at, isObject, type Json, text } from "../json.ts";
import type { getAuditRequest, placedRecord, statementPart } from "../schema/audit.ts";
import { recordedClaims, recordedPrincipal } from "../told.ts";

type Told = z.output<(typeof getAuditRequest)["answer"]>;

/** `undone`: by "<log> <index>" of the intent. null: there is nothing of this request. */
export function tellRequest(
  request: string,
  records: readonly Shown[],
  undone: Readonly<Record<string, Undone>>,
): Told | null {
  const intents = records.filter(({ record }) => record.type === "statement.intent");
  const outcomeOf = (intent: Shown) =>
    records.find(
      ({ record, log }) =>
        record.type === "statement.outcome" &&
        log === intent.log &&
        at(record, "intent.index") === intent.index,
    ) ?? null;
  const outcomes = intents.map(outcomeOf);
  const others = records.filter((one) => !intents.includes(one) && !outcomes.includes(one));
  const first = intents[0] ?? others[0];
  if (first === undefined) return null;
  const approvals = [first, ...outcomes].map(
    (one) => text(one?.record, "approval") ?? text(one?.record, "approval.id"),
  );
  return {
    request: text(first.record, "request") ?? request,
    parts: intents.map((intent, i) =>
      tellPart(intent, outcomes[i] ?? null, undone[`${intent.log} ${intent.index}`] ?? null),
    ),
    others: others.map(placed),
    session: sessionOf(first.record),
    approval: approvals.find((id) => id !== null) ?? null,
  };
}

function tellPart(
  intent: Shown,
  outcome: Shown | null,
  undone: Undone | null,
): z.output<typeof statementPart> {
  const { opened } = intent;
  const content = opened?.state === "open" ? opened.content : null;
  return {
    intent: placed(intent),
    outcome: outcome === null ? null : placed(outcome),
    sql: text(content, "sql") ?? base64Sql(content),
    parameters: content === null ? null : (content.parameters ?? null),
    claimedIntent: text(content, "claimed.intent"),
    seal: opened?.state === "open" ? { salt: opened.salt, json: JSON.stringify(opened.content) } : null,
    sealed:
      opened === null ? "only auditors open what is sealed" : opened.state === "closed" ? opened.why : null,
    undone: undone === null ? null : { ...undone },
    sentence: sentence(intent.record, null, outcome?.record ?? null, undone).slice(
      "2026-11-22 10:00:00.123  ".length,
    ),
  };
}

/** A text that is not UTF-8, as far as it can be shown. */
function base64Sql(content: Json | null): string | null {
  const bytes = text(content, "base64");
  return bytes === null ? null : Buffer.from(bytes, "base64").toString("latin1");
}

function placed({ record, index, log }: Shown): z.output<typeof placedRecord> {
  return { record: { ...record }, index, log, id: text(record, "id") ?? "" };
}

function sessionOf(record: Json): Told["session"] {
  const id = text(record, "session");
  if (id === null || !isObject(record.principal)) return null;
  return {
    id,
    node: text(record, "node") ?? "",
    principal: recordedPrincipal(record),
    claimed: recordedClaims(record),
    client: isObject(record.client) ? { ...record.client } : {},
    database: isObject(record.database) ? { ...record.database } : {},
  };
}
