/** The approvals of a gateway. */
import { randomUUID } from "node:crypto";
import type { Approval } from "../facts/approval.ts";
import {
  type ApprovalAsk,
  accessApproval,
  breakGlassReason,
  offeredTo,
  type Place,
  reviewApproval,
  statementApproval,
} from "./ask.ts";
import { requesterKey, subjectKey } from "./binding.ts";
import { createBooks } from "./books.ts";
import { ApprovalError, ApprovalRefused } from "./errors.ts";
import { adminEvent, decidedEvent, expiredEvent, requestedEvent, usedEvent } from "./events.ts";
import { createGrants } from "./grants.ts";
import { startKeeper } from "./keeper.ts";
import { mayDecide, missingOf } from "./maydecide.ts";
import { openMirror } from "./mirror.ts";
import { createNodes } from "./nodes.ts";
import { inGroups, requesterOf, samePerson } from "./people.ts";
import { createQuota } from "./quota.ts";
import { seenBefore } from "./seen.ts";
import type { WebhookEvent } from "./settings.ts";
import { collection, decode, isLive, type Kept, type StoredApproval, show } from "./stored.ts";
import { joinTicket } from "./tickets.ts";
import type { Approvals, ApprovalsDeps } from "./types.ts";
import { checkScope, cleanReason, voteOf, withVote } from "./vote.ts";
import { untilSettled } from "./wait.ts";

/** Reads what is under way and says that this node lives. Rejects with StoreUnavailable. */
export async function createApprovals(deps: ApprovalsDeps): Promise<Approvals> {
  const { store, sealer = null, settings, node, publicUrl, record, notify = null, logger = null } = deps;
  const now = deps.now ?? Date.now;
  const count = {
    requested: 0,
    refused: 0,
    approved: 0,
    denied: 0,
    expired: 0,
    gone: 0,
    used: 0,
    breakGlass: 0,
  };
  const complain = (error: unknown, what: string) => logger?.warn({ err: error }, what);
  const told = new Set<string>();
  const unreadable = (id: string) => {
    // Found again with every look; said once.
    if (told.has(id) || told.size > 1000) return;
    told.add(id);
    logger?.warn({ approval: id }, "an approval in the store cannot be read: it was sealed with another key");
  };
  const shown = (kept: StoredApproval) => show(kept, publicUrl());
  const tell = (event: WebhookEvent, kept: StoredApproval) => notify?.(event, shown(kept));

  const mirror = await openMirror(store, sealer, now, unreadable);
  const nodes = createNodes(store, node, now);
  const books = createBooks({
    store,
    sealer,
    mirror,
    keepMs: settings.keepMs,
    now,
    record,
    failed: complain,
    ended(kept) {
      if (kept.approval.state === "gone") count.gone++;
      else count.expired++;
      tell("expired", kept);
    },
  });
  const { read, insert, swap } = books;
  const quota = createQuota(settings, mirror.live);
  const grants = createGrants(mirror);
  mirror.onChange(({ approval, who }) => {
    if (approval.state === "denied") quota.denied(who, approval.shape ?? approval.binding, now());
  });
  const keeper = await startKeeper({ books, mirror, nodes, node, now, failed: complain });
  const place = (): Place => ({ id: randomUUID(), node, boot: nodes.boot, nowMs: now() });

  /** On record first: nobody is asked for what the log does not know of. */
  async function put(stored: StoredApproval): Promise<Kept> {
    await record(requestedEvent(stored.approval));
    try {
      const kept = await insert(stored);
      count.requested++;
      return kept;
    } catch (error) {
      const lost = { ...stored.approval, state: "gone", why: "store" } as const;
      await Promise.resolve(record(expiredEvent(lost))).catch((why: unknown) =>
        complain(why, "the end of an approval is not on the audit log"),
      );
      throw error;
    }
  }

  async function asked(who: string, shape: string, make: () => Promise<Kept>): Promise<Kept> {
    const giveBack = quota.take(who, shape, now());
    try {
      return await make();
    } finally {
      giveBack();
    }
  }

  async function breakGlass(ask: ApprovalAsk): Promise<Approval> {
    const reason = breakGlassReason(ask);
    quota.count(requesterKey(ask.requester), now());
    const kept = await put(reviewApproval(ask, reason, place()));
    await record(usedEvent(kept.approval, ask.request, ask.session));
    count.breakGlass++;
    const { issuer, subject } = ask.requester;
    logger?.warn(
      { approval: kept.approval.id, issuer, subject, database: ask.database },
      "BREAK GLASS: a statement runs without approval",
    );
    tell("break_glass", kept);
    return shown(kept);
  }

  async function must(id: string): Promise<Kept> {
    const kept = await read(id);
    if (kept === null) throw new ApprovalError("NOT_FOUND", "there is no such approval");
    return kept;
  }

  return {
    async request(ask) {
      if (ask.demands.length === 0) throw new TypeError("an approval needs somebody to ask");
      try {
        if (ask.breakGlass !== null) return await breakGlass(ask);
        const who = requesterKey(ask.requester);
        const made = () => statementApproval(ask, place());
        const kept =
          ask.mode === "wait"
            ? await asked(who, ask.shape ?? ask.binding, () => put1(made()))
            : await joinTicket(store, ask.binding, read, () => {
                const stored = made();
                return {
                  id: stored.approval.id,
                  expires: Date.parse(stored.approval.expires),
                  put: () => asked(who, ask.shape ?? ask.binding, () => put1(stored)),
                };
              });
        return shown(kept);
      } catch (error) {
        if (error instanceof ApprovalRefused) count.refused++;
        throw error;
      }

      async function put1(stored: StoredApproval): Promise<Kept> {
        const seen = await seenBefore(store, sealer, stored);
        const kept = await put({ ...stored, approval: { ...stored.approval, seen } });
        tell("requested", kept);
        return kept;
      }
    },

    settled: async (id, signal) => shown(await untilSettled(id, signal, { read, mirror, now })),

    async claim(id, binding, requester, use = {}) {
      for (;;) {
        const kept = await read(id);
        if (kept === null) return null;
        const { approval } = kept;
        const { scope } = approval;
        const fits =
          approval.binding === binding ||
          (scope.kind === "shape" && approval.shape !== null && approval.shape === (use.shape ?? null));
        const usable =
          approval.kind === "statement" &&
          approval.state === "approved" &&
          approval.usesLeft > 0 &&
          fits &&
          kept.who === requesterKey(requester) &&
          missingOf(approval.demands, approval.votes, kept.counts).length === 0;
        if (!usable) return null;
        const usesLeft = approval.usesLeft - 1;
        const state = usesLeft === 0 ? "used" : "approved";
        const taken = await swap(kept, { ...kept, approval: { ...approval, usesLeft, state } });
        if (taken === null) continue;
        await record(usedEvent(taken.approval, use.request ?? null, use.session ?? null));
        count.used++;
        return shown(taken);
      }
    },

    async findApproved(binding, shape, requester) {
      const who = requesterKey(requester);
      const tags = [[`binding:${binding}`], ...(shape === null ? [] : [[`shape:${shape}`, "live"]])];
      for (const wanted of tags) {
        const { items } = await store.list(collection, { tags: wanted, limit: 100 });
        for (const document of items) {
          const kept = decode(sealer, document);
          if (kept === null || kept.who !== who || kept.approval.state !== "approved" || books.isDue(kept))
            continue;
          const { approval } = kept;
          const reaches =
            approval.scope.kind === "shape"
              ? approval.shape !== null && approval.shape === shape
              : approval.mode === "ticket" && approval.binding === binding;
          if (approval.kind === "statement" && approval.usesLeft > 0 && reaches) return shown(kept);
        }
      }
      return null;
    },

    leave: (id, why) => keeper.leave(id, why),

    async get(id) {
      const kept = await read(id);
      return kept === null ? null : shown(kept);
    },

    async list({ state, kind, requester, live, after = null, limit }) {
      const tags: string[] = [state];
      if (kind !== undefined) tags.push(`kind:${kind}`);
      if (requester !== undefined) tags.push(`who:${subjectKey(requester)}`);
      if (live === true) tags.push("live");
      const page = await store.list(collection, { tags, after, limit, newestFirst: state === "decided" });
      const items: Approval[] = [];
      for (const document of page.items) {
        let kept = decode(sealer, document);
        if (kept !== null && books.isDue(kept)) kept = await read(document.key);
        if (kept === null || (state === "pending" && kept.approval.state !== "pending")) continue;
        items.push(shown(kept));
      }
      return { items, next: page.next };
    },

    async decide(id, approver, verdict, options = {}) {
      const reason = cleanReason(options.reason);
      /** What the log says that the approval is behind this vote; null: nothing yet. */
      let recorded: Approval["state"] | null = null;
      for (;;) {
        const kept = await must(id);
        const may = mayDecide(kept.approval, approver, settings, now(), verdict);
        const scope = checkScope(kept.approval, options.scope, settings);
        const vote = voteOf(approver, verdict, reason, scope, now());
        if (!may.ok) {
          // It was decided between our look and our word: the log says that the word did not count.
          if (recorded !== null)
            await record(decidedEvent(kept.approval, vote, kept.approval.state, { void: may.code }));
          throw new ApprovalError(may.code, may.message);
        }
        if (verdict === "deny" && reason === null)
          throw new ApprovalError("REASON_REQUIRED", "say why it must not run");
        const next = withVote(kept, vote, may.demands, now());
        const { state } = next.approval;
        // Another vote was counted between our look and our word: what ours makes of the approval is on record as it is.
        if (recorded !== state)
          await record(decidedEvent(kept.approval, vote, state, recorded === null ? {} : { again: true }));
        recorded = state;
        const won = await swap(kept, next);
        if (won === null) continue;
        const { approval } = won;
        if (approval.state === "denied") count.denied++;
        else if (approval.state !== "pending") count.approved++;
        if (approval.kind === "access" && approval.state === "approved")
          await record(adminEvent("access.granted", approval, approver.principal, reason));
        if (approval.state !== "pending") tell(approval.kind === "access" ? "access" : "decided", won);
        return shown(won);
      }
    },

    async setPreview(id, preview) {
      for (;;) {
        const kept = await must(id);
        if (kept.approval.state !== "pending")
          throw new ApprovalError("NOT_PENDING", "it is not waiting for a decision any more");
        if ((await swap(kept, { ...kept, approval: { ...kept.approval, preview } })) !== null) return;
      }
    },

    offered: (principal) => offeredTo(requesterOf(principal), settings.access),

    async requestAccess(principal, wish) {
      try {
        const requester = requesterOf(principal);
        const stored = accessApproval(requester, wish, settings.access, place());
        const key = `access ${stored.approval.database} ${stored.approval.access?.group}`;
        const kept = await asked(stored.who, key, () => put(stored));
        tell("access", kept);
        return shown(kept);
      } catch (error) {
        if (error instanceof ApprovalRefused) count.refused++;
        throw error;
      }
    },

    async revoke(id, by, words) {
      const reason = cleanReason(words);
      for (;;) {
        const kept = await must(id);
        const { approval } = kept;
        const { principal } = by;
        const person = principal.kind === "human" && principal.actor.length === 0;
        const decides = person && approval.demands.some(({ groups }) => inGroups(principal, groups));
        const own = requesterKey(requesterOf(principal)) === kept.who;
        if (by.admin !== true && !own && !decides && !(person && samePerson(approval.requester, principal)))
          throw new ApprovalError(
            "NOT_APPROVER",
            "only who asked, who decides or an administrator takes it back",
          );
        if (reason === null) throw new ApprovalError("REASON_REQUIRED", "say why it is taken back");
        if (approval.kind === "review" || !isLive(approval.state))
          throw new ApprovalError("NOT_PENDING", "nothing of it is in force");
        const decided = approval.decided ?? new Date(now()).toISOString();
        const next = { ...approval, state: "revoked" as const, why: reason, usesLeft: 0, decided };
        const over = await swap(kept, { ...kept, approval: next });
        if (over === null) continue;
        const action = approval.kind === "access" ? "access.revoked" : "approval.revoked";
        await record(adminEvent(action, over.approval, principal, reason));
        tell("revoked", over);
        return shown(over);
      }
    },

    grants,
    changed: (listener) => mirror.onChange((kept) => listener(shown(kept))),
    get stats() {
      const live = [...mirror.live()].map(({ approval }) => approval);
      return {
        ...count,
        pending: live.filter(({ state }) => state === "pending").length,
        grants: live.filter(({ state, kind }) => kind === "access" && state === "approved").length,
      };
    },

    async close() {
      await keeper.close();
      mirror.close();
    },
  };
}
