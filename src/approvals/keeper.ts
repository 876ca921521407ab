/** What must happen without anybody asking: ends by the clock, clients that are gone, nodes that died. */
import type { Books } from "./books.ts";
import type { Mirror } from "./mirror.ts";
import { beatMs, type Nodes } from "./nodes.ts";
import type { Kept } from "./stored.ts";

const tickMs = 500;
/** What belongs to another node is left to it, for a while. */
const graceMs = 3_000;
const refreshMs = 15_000;

export interface Keeper {
  /** Never rejects: while the store is away it is tried again. */
  leave(id: string, why: string): Promise<void>;
  close(): Promise<void>;
}

export interface KeeperDeps {
  readonly books: Books;
  readonly mirror: Mirror;
  readonly nodes: Nodes;
  readonly node: string;
  readonly now: () => number;
  readonly failed: (error: unknown, what: string) => void;
}

/** A client stands still for it, or was to go on with it. */
function isHeld({ approval }: Kept): boolean {
  return (
    approval.kind === "statement" &&
    approval.mode === "wait" &&
    (approval.state === "pending" || (approval.state === "approved" && approval.scope.kind === "once"))
  );
}

/** Says that this node lives, and ends what clients of its earlier runs had waited for. Rejects with StoreUnavailable. */
export async function startKeeper({ books, mirror, nodes, node, now, failed }: KeeperDeps): Promise<Keeper> {
  const leaving = new Map<string, string>();
  let busy = false;
  let closed = false;
  await nodes.beat();
  for (const kept of [...mirror.live()])
    if (isHeld(kept) && kept.approval.node === node && kept.boot !== nodes.boot)
      await books.end(kept, "gone", "restart");

  async function go(id: string, why: string): Promise<void> {
    const kept = await books.read(id);
    if (kept !== null && isHeld(kept)) await books.end(kept, "gone", why);
    leaving.delete(id);
  }

  async function tick(): Promise<void> {
    for (const [id, why] of [...leaving]) await go(id, why);
    for (const kept of [...mirror.live()]) {
      const late = now() - Date.parse(kept.approval.expires);
      if (late >= (kept.boot === nodes.boot ? 0 : graceMs)) await books.read(kept.approval.id);
    }
  }

  async function buryTheDead(): Promise<void> {
    const held = [...mirror.live()].filter((kept) => isHeld(kept) && kept.boot !== nodes.boot);
    for (const boot of new Set(held.map((kept) => kept.boot))) {
      if (await nodes.isAlive(boot)) continue;
      for (const kept of held) if (kept.boot === boot) await books.end(kept, "gone", "restart");
    }
  }

  const every = (ms: number, work: () => Promise<void>) =>
    setInterval(() => {
      if (!closed) work().catch(() => {});
    }, ms).unref();
  const timers = [
    every(tickMs, async () => {
      if (busy) return;
      busy = true;
      await tick().finally(() => {
        busy = false;
      });
    }),
    every(beatMs, () => nodes.beat().then(buryTheDead)),
    every(refreshMs, () => mirror.refresh()),
  ];

  return {
    async leave(id, why) {
      leaving.set(id, why);
      try {
        await go(id, why);
      } catch (error) {
        failed(error, "an approval whose client is gone is not ended yet");
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      for (const timer of timers) clearInterval(timer);
      try {
        for (const kept of [...mirror.live()])
          if (isHeld(kept) && kept.boot === nodes.boot) await books.end(kept, "gone", "restart");
        await nodes.leave();
      } catch (error) {
        failed(error, "approvals of this node were not ended: the next start does");
      }
    },
  };
}
