/** The approvals of a gateway: what its rooms hold of them. */
import { randomUUID } from "node:crypto";
import type { Approval, ApprovalKind, ApprovalScope, EffectPreview, Requester } from "../facts/approval.ts";
import type { ApprovalEvent } from "../facts/audit.ts";
import type { Principal } from "../facts/principal.ts";
import type { Sealer, Store } from "../store/index.ts";
import {
  type AccessWish,
  type ApprovalAsk,
  accessApproval,
  breakGlassReason,
  type Place,
  reviewApproval,
  statementApproval,
} from "./ask.ts";
import { requesterKey, subjectKey } from "./binding.ts";
import { createBooks } from "./books.ts";
import { ApprovalError, ApprovalRefused } from "./errors.ts";
import { adminEvent, decidedEvent, expiredEvent, requestedEvent, usedEvent } from "./events.ts";
import { createGrants, type GrantSource } from "./grants.ts";
import { startKeeper } from "./keeper.ts";
import { type Approver, mayDecide, missingOf } from "./maydecide.ts";
import { openMirror } from "./mirror.ts";
import { createNodes } from "./nodes.ts";
import { inGroups, requesterOf, samePerson } from "./people.ts";
import { createQuota } from "./quota.ts";
import type { ApprovalSettings, WebhookEvent } from "./settings.ts";
import { collection, decode, isLive, type Kept, type StoredApproval, show } from "./stored.ts";
import { joinTicket } from "./tickets.ts";
import { checkScope, cleanReason, voteOf, withVote } from "./vote.ts";
import { untilSettled } from "./wait.ts";

export interface ApprovalsDeps {
  readonly store: Store;
  /** Seals what the store holds; null or left out: it is kept as it is (tests). */
  readonly sealer?: Sealer | null;
  readonly settings: ApprovalSettings;
  /** This node's name, shown to people. */
  readonly node: string;
  /** Where the console is; null: no http listener. */
  readonly publicUrl: () => string | null;
  /**
   * Puts an event on the audit log; resolved: it is durable there. When it rejects, what it stands for is not done (a request, a vote,
   * a use).
   */
  readonly record: (event: ApprovalEvent) => void | Promise<void>;
  /** Tells the outside (webhooks). Never throws. */
  readonly notify?: ((event: WebhookEvent, approval: Approval) => void) | null;
  readonly logger?: { warn(facts: object, message: string): void } | null;
  readonly now?: () => number;
}

export interface Approvals {
  /**
   * Asks people. An equal ticket that waits already is given back instead of a second one. With `breakGlass` nobody is asked now: what
   * comes back is of kind `review`, the use is on record, and the statement may run at once.
   * Rejects with ApprovalRefused, StoreUnavailable, and what `record` rejects with: then the statement must not run.
   */
  request(ask: ApprovalAsk): Promise<Approval>;
  /**
   * Waits until it is no longer pending, wherever it was decided. Rejects with the signal's reason, ApprovalError NOT_FOUND, or
   * StoreUnavailable when the store is still away at its end.
   */
  settled(id: string, signal: AbortSignal): Promise<Approval>;
  /**
   * Takes one use of an approved statement, for good: on all nodes together it is given as often as people allowed. null: it may not run
   * (used up, over, another binding and shape, another requester). Rejects with StoreUnavailable and what `record` rejects with: it may
   * not run then either.
   */
  claim(
    id: string,
    binding: string,
    requester: Requester,
    use?: {
      readonly shape?: string | null;
      readonly session?: string | null;
      readonly request?: string | null;
    },
  ): Promise<Approval | null>;
  /** An approved, unused one for this very statement (ticket), or for its shape; the next step is `claim`. */
  findApproved(binding: string, shape: string | null, requester: Requester): Promise<Approval | null>;
  /** The requester is gone: what waits for it, or was approved for its wait and not used, never runs. Never rejects. */
  leave(id: string, why: "disconnect" | "cancel" | "restart"): Promise<void>;
  get(id: string): Promise<Approval | null>;
  /** Pending ones oldest first, decided ones newest first. */
  list(query: {
    readonly state: "pending" | "decided";
    readonly kind?: ApprovalKind;
    readonly requester?: { readonly subject: string; readonly issuer: string };
    readonly after?: string | null;
    readonly limit: number;
  }): Promise<{ readonly items: readonly Approval[]; readonly next: string | null }>;
  /** Rejects with ApprovalError, StoreUnavailable, and what `record` rejects with. */
  decide(
    id: string,
    approver: Approver,
    verdict: "approve" | "deny",
    options?: { readonly reason?: string | null; readonly scope?: ApprovalScope | null },
  ): Promise<Approval>;
  /** Rejects with ApprovalError NOT_FOUND or NOT_PENDING, and StoreUnavailable. */
  setPreview(id: string, preview: EffectPreview): Promise<void>;
  /** Rejects as request(). */
  requestAccess(principal: Principal, wish: AccessWish): Promise<Approval>;
  /**
   * Takes back what was approved: by an administrator (`admin`, which the door has checked), by who may decide on it, or by the requester.
   * Rejects with ApprovalError NOT_FOUND, NOT_PENDING (nothing is in force), NOT_APPROVER or REASON_REQUIRED.
   */
  revoke(id: string, by: Approver & { readonly admin?: boolean }, reason: string): Promise<Approval>;
  readonly grants: GrantSource;
  /** Of every node. */
  changed(listener: (approval: Approval) => void): () => void;
  readonly stats: ApprovalStats;
  /** What this node's clients still wait for is gone. Never rejects. */
  close(): Promise<void>;
}

export interface ApprovalStats {
  /** Now, on all nodes. */
  readonly pending: number;
  readonly grants: number;
  /** By this node since its start. */
  readonly requested: number;
  readonly refused: number;
  readonly approved: number;
  readonly denied: number;
  readonly expired: number;
  readonly gone: number;
  readonly used: number;
  readonly breakGlass: number;
}

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
  const unreadable = (id: string) =>
    logger?.warn({ approval: id }, "an approval in the store cannot be read: it was sealed with another key");
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
        const kept = await put(stored);
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

    async list({ state, kind, requester, after = null, limit }) {
      const tags: string[] = [state];
      if (kind !== undefined) tags.push(`kind:${kind}`);
      if (requester !== undefined) tags.push(`who:${subjectKey(requester)}`);
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
      let recorded: Kept | null = null;
      for (;;) {
        const kept = await must(id);
        const may = mayDecide(kept.approval, approver, settings, now(), verdict);
        const scope = checkScope(kept.approval, options.scope, settings);
        const vote = voteOf(approver, verdict, reason, scope, now());
        if (!may.ok) {
          // It was decided between our look and our word: the log says that the word did not count.
          if (recorded !== null)
            await record(decidedEvent(kept.approval, vote, kept.approval.state, may.code));
          throw new ApprovalError(may.code, may.message);
        }
        if (verdict === "deny" && reason === null)
          throw new ApprovalError("REASON_REQUIRED", "say why it must not run");
        const next = withVote(kept, vote, may.demands, now());
        if (recorded === null) await record(decidedEvent(kept.approval, vote, next.approval.state));
        recorded = kept;
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
