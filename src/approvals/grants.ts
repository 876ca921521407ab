/** Groups that people have for a while, for the data path: from memory, and never past their end. */
import type { Principal } from "../facts/principal.ts";
import { requesterKey } from "./binding.ts";
import type { Mirror } from "./mirror.ts";
import { requesterOf } from "./people.ts";

export interface Grant {
  /** The approval's id. */
  readonly id: string;
  /** As the principal's provider calls it. */
  readonly group: string;
  readonly database: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

export interface GrantSource {
  /**
   * What holds now. Cheap when nobody has a grant. Nothing while the store has not answered for a minute: a grant that may have been
   * revoked is none.
   */
  groupsOf(principal: Principal, database: string, nowMs: number): readonly Grant[];
  /** Some grant has begun, ended or been revoked. */
  onChange(changed: () => void): () => void;
}

const none: readonly Grant[] = [];
const staleMs = 60_000;

export function createGrants(mirror: Mirror): GrantSource {
  let byWho = collect();
  const listeners = new Set<() => void>();
  mirror.onChange(({ approval }) => {
    if (approval.kind !== "access") return;
    byWho = collect();
    for (const listener of [...listeners]) listener();
  });

  function collect(): ReadonlyMap<string, readonly Grant[]> {
    const found = new Map<string, Grant[]>();
    for (const { approval, who } of mirror.live()) {
      if (approval.kind !== "access" || approval.state !== "approved" || approval.access === null) continue;
      const { id, database, access } = approval;
      const grant = { id, database, group: access.group, until: Date.parse(approval.expires) };
      found.set(who, [...(found.get(who) ?? []), grant]);
    }
    return found;
  }

  return {
    groupsOf(principal, database, nowMs) {
      if (byWho.size === 0) return none;
      const mine = byWho.get(requesterKey(requesterOf(principal)));
      if (mine === undefined || nowMs - mirror.freshAt > staleMs) return none;
      return mine.filter((grant) => grant.database === database && grant.until > nowMs);
    },
    onChange(changed) {
      const own = () => changed();
      listeners.add(own);
      return () => listeners.delete(own);
    },
  };
}
