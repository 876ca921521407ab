/**
 * Step `hold`: a message that people must agree to stands still, with everything behind it, until they have (PROTOCOL.md I6).
 * Nothing of it has reached the server. Once they have agreed it is judged once more, claimed, and forwarded, once.
 */
import { uuidv7 } from "../../audit/index.ts";
import type { Approval } from "../../facts/approval.ts";
import { withComparisons } from "../../policy/index.ts";
import { encodeParameterStatus } from "../../protocol/index.ts";
import type { ApprovalDesk } from "../hold/desk.ts";
import { bindingOf, judgedKey, messageKey, partKey, requesterOf, shapeOf } from "./agreed.ts";
import { listed } from "./extended/lists.ts";
import { definitionsOf, type Gathered, gatherAsk, maxTexts } from "./holdask.ts";
import { leave, lookBehind, refusal, release, settle } from "./holdend.ts";
import type {
  ApprovalUse,
  HeldMessage,
  HeldPart,
  HoldAnswer,
  Holding,
  HoldRefusal,
  Pass,
} from "./holding.ts";
import {
  abortedBlock,
  approvalUnavailable,
  denied,
  expired,
  gone,
  goneWhileHeld,
  notAsked,
  ticket,
  tokenOver,
  tooLongToRead,
  waitingNotice,
} from "./holdreasons.ts";
import type { Guarding, Judgement } from "./judgement.ts";
import { charge } from "./limits.ts";
import { endParsing } from "./own.ts";
import { queueLength } from "./queue.ts";
import type { Walk } from "./state.ts";
import { createWatch } from "./watch.ts";

/** So often the client's connection is used while it waits: load balancers close what is silent (PROTOCOL.md I6). */
const stillMs = 30_000;
/** The approvals end the wait; if they do not, this much later the gateway does. */
const graceMs = 3_000;

/** How often it is looked whether the session's time is over. */
const tokenMs = 500;

function isOver(walk: Walk): boolean {
  return walk.closing || walk.deadline() * 1000 <= Date.now();
}

const still = encodeParameterStatus("integer_datetimes", "on");

/** The message may run; must be refused; or stands still, and comes again. */
export type Held = Pass | { readonly refused: HoldRefusal } | "later";

/**
 * Takes a message of which a statement needs approval. To be called again with the same message each time that the client's
 * stream goes on.
 */
export function hold(walk: Walk, guard: Guarding, desk: ApprovalDesk, message: HeldMessage): Held {
  const key = messageKey(guard, message);
  const { hold: holding } = walk;
  if (holding === null) return begin(walk, guard, desk, message, key);
  const { answer } = holding;
  // Others may stall the stream meanwhile; without an answer nothing goes on.
  if (answer === null) return "later";
  if (answer.kind === "refused") {
    release(walk, holding);
    return { refused: answer };
  }
  if (holding.key !== key) {
    // The policy, the catalog or the session is not what it was: what people agreed to is something else.
    release(walk, holding);
    return begin(walk, guard, desk, message, key);
  }
  if (answer.kind === "pass") {
    release(walk, holding);
    return answer.pass;
  }
  holding.answer = null;
  stall(walk, holding, claim(walk, guard, holding, message));
  return "later";
}

function begin(walk: Walk, guard: Guarding, desk: ApprovalDesk, message: HeldMessage, key: string): Held {
  const request = uuidv7();
  // Nobody is asked for what could not run once they have agreed.
  const charged = chargeable(message);
  const reason = charge(walk, charged);
  if (reason !== null) return { refused: { reason, request } };
  const holding: Holding = {
    desk,
    message,
    request,
    charged,
    since: performance.now(),
    key,
    binding: "",
    approval: null,
    answer: null,
    gone: new AbortController(),
    told: null,
    timers: [],
    watch: createWatch(),
  };
  walk.hold = holding;
  stall(walk, holding, ask(walk, guard, holding, message));
  return "later";
}

/** A Query is charged for whole, a batch statement by statement at its Execute: those that nobody is asked about, then. */
function chargeable({ protocol, parts }: HeldMessage): Judgement[] {
  return parts.filter(({ judgement }) => protocol === "simple" || judgement.awaits).map(weighed);
}

/** With the values that its Bind compares protected columns with. */
function weighed({ judgement, bound }: HeldPart): Judgement {
  const { lists, budgets } = judgement;
  if (bound === null || lists.length === 0) return judgement;
  const compared = listed(lists, bound.parameters, bound.parameterFormats);
  return { ...judgement, lists: [], budgets: budgets.map((budget) => withComparisons(budget, compared)) };
}

/** The client's stream stands still until `work` has an answer. */
function stall(walk: Walk, holding: Holding, work: Promise<HoldAnswer>): void {
  const until = { until: "approval" } as const;
  walk.stall = until;
  work
    .catch((error: unknown): HoldAnswer => {
      if (holding.gone.signal.aborted) return refusal(holding, holding.told ?? goneWhileHeld);
      walk.alarm("people cannot be asked for approval", { err: error });
      return refusal(holding, approvalUnavailable);
    })
    .then((answer) => {
      settle(walk, holding, answer);
    });
  // What is behind the message is known only once this pass over the chunk has ended.
  setImmediate(() =>
    walk.guarded(() => {
      lookBehind(walk);
      walk.readOn();
    }),
  );
}

/** The first of the message's statements that needs approval. */
function heldOf({ parts }: HeldMessage): Judgement | null {
  return parts.find(({ judgement }) => judgement.awaits)?.judgement ?? null;
}

async function ask(walk: Walk, guard: Guarding, holding: Holding, message: HeldMessage): Promise<HoldAnswer> {
  const { desk } = holding;
  const gone = holding.gone.signal;
  await drained(walk);
  // What the server discards after an error, up to the next Sync, nobody need be asked about.
  if (walk.skipping) return refusal(holding, goneWhileHeld);
  gone.throwIfAborted();
  if (walk.transaction === "E" && message.parts[0]?.statement.shape.facts.transaction == null)
    return refusal(holding, abortedBlock);
  if (message.parts.reduce((sum, { texts }) => sum + texts.join("").length, 0) > maxTexts)
    return refusal(holding, tooLongToRead);
  // Parse locks what it names until the implicit transaction ends; nobody waits for those locks while people think.
  if (walk.unsynced) await endParsing(walk);
  gone.throwIfAborted();
  const definitions = await definitionsOf(walk, guard, message, gone);
  const binding = bindingOf(guard, message, definitions);
  holding.binding = binding;
  const shape = shapeOf(guard, message, definitions);
  const requester = requesterOf(guard.principal);
  const known = await desk.findApproved(binding, shape, requester);
  gone.throwIfAborted();
  if (known !== null) {
    const used = await desk.claim(known.id, binding, requester, {
      shape,
      session: guard.id,
      request: holding.request,
    });
    if (used !== null) return { kind: "pass", pass: passOf(guard, holding, message, used, false) };
  }
  const gathered = await gatherAsk(walk, guard, message, { request: holding.request, binding, shape, gone });
  gone.throwIfAborted();
  let approval: Approval;
  try {
    approval = await desk.request(gathered.ask);
  } catch (error) {
    const code = codeOf(error);
    if (code !== null && code !== "STORE_UNAVAILABLE" && error instanceof Error)
      return refusal(holding, notAsked(code, error.message));
    throw error;
  }
  holding.approval = approval;
  if (gathered.ask.breakGlass !== null) {
    const { subject, issuer } = requester;
    walk.alarm("break-glass: a statement goes ahead without approval", {
      approval: approval.id,
      request: holding.request,
      subject,
      issuer,
      rules: gathered.ask.rules,
    });
    return { kind: "pass", pass: passOf(guard, holding, message, approval, true) };
  }
  const decision = heldOf(message)?.decision ?? null;
  if (gathered.ask.mode === "ticket") return refusal(holding, ticket(approval, decision, message.ticket));
  if (holding.gone.signal.aborted) {
    leave(walk, holding, "disconnect");
    return refusal(holding, goneWhileHeld);
  }
  return wait(walk, guard, holding, gathered, decision);
}

async function wait(
  walk: Walk,
  guard: Guarding,
  holding: Holding,
  { ask: { holdMs }, note }: Gathered,
  decision: Judgement["decision"],
): Promise<HoldAnswer> {
  const { desk, approval } = holding;
  if (approval === null) throw new Error("nothing to wait for");
  walk.toClient.write([waitingNotice(approval, decision, holding.request, note)], null);
  const keep = setInterval(
    () => walk.guarded(() => void walk.toClient.write([still], null)),
    stillMs,
  ).unref();
  const over = Promise.withResolvers<"late" | "token">();
  const late = setTimeout(over.resolve, holdMs + graceMs, "late");
  // A session may be renewed meanwhile.
  const token = setInterval(() => {
    if (isOver(walk)) over.resolve("token");
  }, tokenMs);
  holding.timers = [keep, late, token];
  const rule = decision?.rule ?? null;
  const settled = await Promise.race([desk.settled(approval.id, holding.gone.signal), over.promise]);
  if (holding.gone.signal.aborted) return refusal(holding, goneWhileHeld);
  if (settled === "late") {
    leave(walk, holding, "cancel");
    return refusal(holding, expired(approval, rule, note));
  }
  if (settled === "token") {
    leave(walk, holding, "disconnect");
    return refusal(holding, tokenOver);
  }
  holding.approval = settled;
  switch (settled.state) {
    case "approved":
    case "used":
      // What was cached while a person thought may be outdated.
      guard.analyst.bump();
      return { kind: "recheck" };
    case "denied":
      return refusal(holding, denied(settled, rule));
    case "expired":
    case "pending":
      return refusal(holding, expired(settled, rule, note));
    case "gone":
    case "revoked":
      return refusal(holding, gone(settled, rule));
    default:
      return settled.state satisfies never;
  }
}

/** People have agreed, and the message was judged as before: takes the approval, which nobody else can then. */
async function claim(
  walk: Walk,
  guard: Guarding,
  holding: Holding,
  message: HeldMessage,
): Promise<HoldAnswer> {
  const { approval, desk } = holding;
  if (approval === null) throw new Error("nothing to claim");
  if (isOver(walk)) return refusal(holding, tokenOver);
  const rule = heldOf(message)?.decision?.rule ?? null;
  const binding = bindingOf(guard, message, await definitionsOf(walk, guard, message, holding.gone.signal));
  // What a name stands for has changed: that is another statement.
  if (binding !== holding.binding) return ask(walk, guard, again(holding), message);
  if (holding.gone.signal.aborted) return refusal(holding, goneWhileHeld);
  const used = await desk.claim(approval.id, binding, requesterOf(guard.principal), {
    session: guard.id,
    request: holding.request,
  });
  if (used === null) return refusal(holding, expired(approval, rule, null));
  return { kind: "pass", pass: passOf(guard, holding, message, used, false) };
}

function again(holding: Holding): Holding {
  holding.approval = null;
  return holding;
}

function passOf(
  guard: Guarding,
  holding: Holding,
  message: HeldMessage,
  approval: Approval,
  breakGlass: boolean,
): Pass {
  const use: ApprovalUse = {
    id: approval.id,
    approvers: approval.votes
      .filter(({ verdict }) => verdict === "approve")
      .map(({ approver: { subject, issuer } }) => ({ subject, issuer })),
    breakGlass,
  };
  return {
    approval: use,
    policy: guard.policies.current.digest,
    request: holding.request,
    parts: message.parts.map(({ statement, texts, bound, judgement }) => ({
      key: partKey(texts, statement, bound),
      judged: judgedKey(judgement),
    })),
    next: 0,
  };
}

/** Waits until the server has answered what came before: its transaction is known then. */
async function drained(walk: Walk): Promise<void> {
  if (queueLength(walk.queue) === 0) return;
  await new Promise<void>((resolve) => {
    walk.drained = resolve;
  });
}

function codeOf(error: unknown): string | null {
  if (typeof error !== "object" || error === null || !("code" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}
