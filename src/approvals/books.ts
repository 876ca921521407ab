/** The approvals' documents: reading, compare-and-set, and what is over by the clock. */
import type { ApprovalEvent } from "../facts/audit.ts";
import type { Sealer, Store } from "../store/index.ts";
import { adminEvent, expiredEvent } from "./events.ts";
import type { Mirror } from "./mirror.ts";
import {
  collection,
  decode,
  encode,
  isLive,
  type Kept,
  type StoredApproval,
  writeOptions,
} from "./stored.ts";

export interface Books {
  /** As it is now, what is over by the clock being over; null: there is none. */
  read(id: string): Promise<Kept | null>;
  insert(stored: StoredApproval): Promise<Kept>;
  /** null: somebody else was faster. */
  swap(kept: Kept, next: StoredApproval): Promise<Kept | null>;
  /** Ends what is pending or approved, and puts it on record; gives it as it is then. */
  end(kept: Kept, state: "expired" | "gone", why: string): Promise<Kept>;
  isDue(kept: Kept): boolean;
}

export interface BooksDeps {
  readonly store: Store;
  readonly sealer: Sealer | null;
  readonly mirror: Mirror;
  readonly keepMs: number;
  readonly now: () => number;
  readonly record: (event: ApprovalEvent) => void | Promise<void>;
  readonly ended: (kept: Kept) => void;
  readonly failed: (error: unknown, what: string) => void;
}

export function createBooks({ store, sealer, mirror, keepMs, now, record, ended, failed }: BooksDeps): Books {
  async function fetch(id: string): Promise<Kept | null> {
    if (!/^[0-9a-f-]{36}$/.test(id)) return null;
    const document = await store.get(collection, id);
    const kept = document === null ? null : decode(sealer, document);
    if (kept !== null) mirror.apply(kept);
    return kept;
  }

  async function swap(kept: Kept, next: StoredApproval): Promise<Kept | null> {
    const { id } = kept.approval;
    const { approval, boot, who, counts } = next;
    const stored: StoredApproval = { approval, boot, who, counts };
    const options = writeOptions(stored, keepMs, now());
    const done = await store.update(collection, id, kept.version, encode(sealer, stored), options);
    if (!done) return null;
    const fresh: Kept = { ...stored, version: kept.version + 1 };
    mirror.apply(fresh);
    return fresh;
  }

  const isDue = ({ approval }: Kept) => isLive(approval.state) && Date.parse(approval.expires) <= now();

  async function end(first: Kept, state: "expired" | "gone", why: string): Promise<Kept> {
    let kept = first;
    for (;;) {
      if (!isLive(kept.approval.state)) return kept;
      const { approval } = kept;
      const decided = approval.decided ?? new Date(now()).toISOString();
      const next = { ...kept, approval: { ...approval, state, why, decided, usesLeft: 0 } };
      const over = await swap(kept, next);
      if (over !== null) {
        const event =
          approval.kind === "access" && approval.state === "approved"
            ? adminEvent("access.expired", over.approval, null, null)
            : expiredEvent(over.approval);
        try {
          await record(event);
        } catch (error) {
          failed(error, "the end of an approval is not on the audit log");
        }
        ended(over);
        return over;
      }
      const again = await fetch(approval.id);
      if (again === null) return kept;
      kept = again;
    }
  }

  return {
    async read(id) {
      const kept = await fetch(id);
      if (kept === null || !isDue(kept)) return kept;
      return end(kept, "expired", kept.approval.state === "pending" ? "time" : "unused");
    },
    async insert(stored) {
      const { id } = stored.approval;
      const options = writeOptions(stored, keepMs, now());
      if (!(await store.insert(collection, id, encode(sealer, stored), options)))
        throw new Error("an approval with this id exists");
      const kept: Kept = { ...stored, version: 1 };
      mirror.apply(kept);
      return kept;
    },
    swap,
    end,
    isDue,
  };
}
