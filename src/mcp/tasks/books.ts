/** Tasks in the store that nodes share: sealed whole, under a name that does not give the task's id away. */
import { createHash } from "node:crypto";
import type { CallToolResult } from "@modelcontextprotocol/server";
import { z } from "zod";
import type { Json } from "../../store/index.ts";
import type { McpTaskStore } from "../deps.ts";

const collection = "mcp-tasks";

const json: z.ZodType<Json> = z.json();
const stored = z.object({
  id: z.string(),
  /** Whose it is, with everybody who acts for it (`requesterKey`). */
  who: z.string(),
  /** What it waits for, or ran under. */
  approval: z.string(),
  /** Milliseconds since the epoch. */
  created: z.number(),
  wanted: z.object({
    database: z.string(),
    sql: z.string(),
    parameters: z.array(json),
    rows: z.number(),
  }),
  claimed: z.record(z.string(), z.string()),
  application: z.string().nullable(),
  /** What its client is told while it waits. */
  waits: z.string(),
  /** The approval whose page the client has said something about; null: none. */
  opened: z.string().nullable(),
  state: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("waiting") }),
    z.object({ kind: z.literal("running"), run: z.string(), since: z.number(), cancel: z.boolean() }),
    z.object({ kind: z.literal("done"), result: z.custom<CallToolResult>(isObject) }),
    z.object({ kind: z.literal("cancelled") }),
  ]),
});

export type StoredTask = z.output<typeof stored>;

export interface KeptTask {
  readonly task: StoredTask;
  readonly version: number;
  /** Milliseconds since the epoch. */
  readonly updated: number;
  /** It is forgotten then. */
  readonly expires: number;
}

/** All reject with StoreUnavailable. */
export interface TaskBooks {
  insert(task: StoredTask, expires: number): Promise<KeptTask>;
  /** null: there is none, or it is somebody else's. */
  find(id: string, who: string): Promise<KeptTask | null>;
  /** null: it was changed meanwhile. */
  swap(kept: KeptTask, next: StoredTask, expires: number): Promise<KeptTask | null>;
  /** Tasks that were opened for this approval, at most `limit`. */
  ofApproval(approval: string, who: string, limit: number): Promise<readonly KeptTask[]>;
  /** Calls back whenever a task may have changed, on any node. Gives the way to stop it. */
  watch(id: string, changed: () => void): () => void;
}

/** Tasks in the given store, sealed where there is a sealer. */
export function openBooks({ store, sealer }: McpTaskStore): TaskBooks {
  function encode(task: StoredTask): Json {
    const plain = JSON.parse(JSON.stringify(task)) as Json;
    return sealer === null ? { plain } : { sealed: sealer.seal(collection, keyOf(task.id), plain) };
  }

  function decode(key: string, value: Json): StoredTask | null {
    const { plain, sealed } = isObject(value) ? value : {};
    const opened =
      sealer === null ? plain : typeof sealed === "string" ? sealer.open(collection, key, sealed) : null;
    const parsed = stored.safeParse(opened);
    return parsed.success && keyOf(parsed.data.id) === key ? parsed.data : null;
  }

  return {
    async insert(task, expires) {
      const options = { tags: [tagOf(task.approval)], expires };
      if (!(await store.insert(collection, keyOf(task.id), encode(task), options)))
        throw new Error("a task with this id exists");
      return { task, version: 1, updated: task.created, expires };
    },
    async find(id, who) {
      const document = await store.get(collection, keyOf(id));
      const task = document === null ? null : decode(document.key, document.value);
      if (document === null || task === null || task.who !== who) return null;
      const { version, updated, expires } = document;
      return { task, version, updated, expires: expires ?? updated };
    },
    async swap(kept, next, expires) {
      const { id } = kept.task;
      const options = { tags: [tagOf(next.approval)], expires };
      const done = await store.update(collection, keyOf(id), kept.version, encode(next), options);
      return done ? { task: next, version: kept.version + 1, updated: Date.now(), expires } : null;
    },
    async ofApproval(approval, who, limit) {
      const { items } = await store.list(collection, { tags: [tagOf(approval)], limit });
      return items.flatMap(({ key, value, version, updated, expires }) => {
        const task = decode(key, value);
        return task === null || task.who !== who
          ? []
          : [{ task, version, updated, expires: expires ?? updated }];
      });
    },
    watch(id, changed) {
      const own = keyOf(id);
      return store.watch(collection, (key) => {
        if (key === null || key === own) changed();
      });
    },
  };
}

function keyOf(id: string): string {
  return createHash("sha256").update(id).digest("hex");
}

function tagOf(approval: string): string {
  return `approval:${approval}`;
}

function isObject(value: unknown): value is Readonly<Record<string, Json>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
