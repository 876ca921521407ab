/** The blocks of the index's file: written once a step, read when a late outcome or a search asks for them. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { Block } from "./columns.ts";

/** Blocks that stay at hand between two steps: outcomes come soon after their statements. */
const keptBlocks = 4;
/** Blocks that were only read and stay at hand. */
const maxRead = 64;

/** Reads and writes blocks by their numbers; what was written is in the file after `flush()`. Methods throw what SQLite throws. */
export class BlockStore {
  private readonly blocks = new Map<number, Block>();
  private readonly grown = new Set<Block>();
  private readonly changed = new Set<Block>();
  private readonly read: Readonly<Record<"zones" | "chunk" | "place" | "ended", StatementSync>>;
  private readonly write: Readonly<Record<"zones" | "chunk" | "place" | "ended", StatementSync>>;

  constructor(db: DatabaseSync) {
    const get = (table: string) => db.prepare(`SELECT * FROM ${table} WHERE number = ?`);
    const put = (table: string) => db.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, ?)`);
    this.read = { zones: get("block"), chunk: get("chunk"), place: get("place"), ended: get("ended") };
    this.write = {
      zones: db.prepare("INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?, ?, ?)"),
      chunk: put("chunk"),
      place: put("place"),
      ended: put("ended"),
    };
  }

  /** The block of this number; null: the index has none. */
  get(number: number): Block | null {
    const known = this.blocks.get(number);
    if (known !== undefined) return known;
    const zones = this.read.zones.get(number);
    if (zones === undefined) return null;
    const block = new Block(number);
    block.load(
      bytes(this.read.chunk.get(number)?.data),
      bytes(this.read.place.get(number)?.data),
      bytes(this.read.ended.get(number)?.data),
    );
    const whole = (value: unknown) => (typeof value === "number" ? value : null);
    Object.assign(block.time, { least: whole(zones.least), most: whole(zones.most) });
    Object.assign(block.ids, { least: whole(zones.id_least), most: whole(zones.id_most) });
    Object.assign(block.requests, { least: whole(zones.request_least), most: whole(zones.request_most) });
    this.blocks.set(number, block);
    if (this.blocks.size > maxRead) this.dropRead();
    return block;
  }

  private dropRead(): void {
    for (const [number, block] of this.blocks) {
      if (this.blocks.size <= maxRead / 2) return;
      if (!this.grown.has(block) && !this.changed.has(block)) this.blocks.delete(number);
    }
  }

  /** The block of this number, begun if need be, to add a record to. */
  growing(number: number): Block {
    let block = this.get(number);
    if (block === null) {
      block = new Block(number);
      this.blocks.set(number, block);
    }
    this.grown.add(block);
    return block;
  }

  /** A statement of the block got its outcome. */
  ended(block: Block): void {
    this.changed.add(block);
  }

  /** Writes what changed. */
  flush(): void {
    for (const block of this.grown) {
      const { number, time, ids, requests } = block;
      this.write.zones.run(number, time.least, time.most, ids.least, ids.most, requests.least, requests.most);
      this.write.chunk.run(number, block.chunk);
      this.write.place.run(number, block.place);
      this.changed.add(block);
    }
    for (const block of this.changed) this.write.ended.run(block.number, block.ended);
    this.grown.clear();
    this.changed.clear();
    const latest = Math.max(...this.blocks.keys());
    for (const number of this.blocks.keys()) if (number <= latest - keptBlocks) this.blocks.delete(number);
  }

  forget(): void {
    this.blocks.clear();
    this.grown.clear();
    this.changed.clear();
  }
}

/** A column's bytes; none where SQLite gave NULL or something else. */
export function bytes(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}
