/** Opening a log: lock it, find its end, repair that end, and say so in the log. */
import { existsSync, fdatasync, mkdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type AnchorFindings, type KeptNote, readAnchors } from "./anchors/compare.ts";
import type { Anchor } from "./anchors/types.ts";
import { type CareNews, LogCare } from "./care.ts";
import { createSigner } from "./checkpoint.ts";
import { GroupCommit } from "./commit.ts";
import { AuditOpenError } from "./errors.ts";
import { type AuditIo, writeNewFile } from "./files.ts";
import { forkRecord, misfits, refuseMisfit } from "./fork.ts";
import { type LogKeys, loadKeys, nextKeyPath, readKeyHistory } from "./keys.ts";
import { ensureLeaves } from "./leaves.ts";
import { type CommitLimits, defaultLimits } from "./limits.ts";
import { takeLock } from "./lock.ts";
import { OpenLog } from "./log.ts";
import { type Recovered, recover, segmentFirsts } from "./recover.ts";
import { finishPruning } from "./retention/prune.ts";
import type { AuditSettings } from "./settings.ts";
import { hasRoom, keepBallast } from "./space.ts";
import type { AuditLog } from "./types.ts";
import { parseVerifierKey } from "./verify/note.ts";
import { chainStart, segmentName } from "./verify/segment.ts";
import { CompactRange } from "./verify/tree.ts";

export interface OpenOptions {
  /** Postern's version, for the record. */
  readonly version: string;
  /** Other limits than the defaults (rotation, sync interval), and other system calls: for tests. */
  readonly limits?: Partial<CommitLimits>;
  readonly io?: AuditIo;
  /** Whatever of these can be read is compared with the log before it is opened. */
  readonly anchors?: readonly Anchor[];
  /** Go on although the anchors know a longer or another log, and record that with this reason. */
  readonly fork?: string;
  /** What the owner of the gateway should know. */
  readonly tell?: (news: OpenNews) => void;
  /** How often the open log is looked after; default 1000 ms. */
  readonly careMs?: number;
}

export type OpenNews =
  | CareNews
  | { readonly kind: "anchor-unread"; readonly anchor: string; readonly why: string }
  /** The log continues what the anchor has; `behind` records came after it and were not anchored when the last writer ended. */
  | { readonly kind: "anchor-fits"; readonly anchor: string; readonly size: number; readonly behind: number };

/** One log per gateway process; there is one process so far. */
const worker = "0";

const systemIo: AuditIo = {
  writeSync: (fd, buffer, offset, length) => writeSync(fd, buffer, offset, length, null),
  fdatasync,
};

/** `<cluster>/<node>/<worker>`: the name of this process's log. */
export function logOrigin({ cluster, node }: Pick<AuditSettings, "cluster" | "node">): string {
  return `${cluster}/${node}/${worker}`;
}

/** `<dir>/<node>/<worker>`: the folder of this process's log. */
export function logFolder(settings: Pick<AuditSettings, "dir" | "node">): string {
  return join(settings.dir, settings.node, worker);
}

/**
 * Opens the log for writing, creating it (and its keys) when there is none. Repairs what a crash left behind and records
 * that. Rejects with AuditOpenError: locked by another process, keys missing or foreign, damaged before the last
 * checkpoint, rolled back, or not writable.
 */
export async function openAuditLog(settings: AuditSettings, options: OpenOptions): Promise<AuditLog> {
  for (const [what, name] of [
    ["cluster", settings.cluster],
    ["node", settings.node],
  ] as const)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name))
      throw new AuditOpenError(
        "AUDIT_SETTINGS",
        `audit.${what}: use up to 63 letters, digits, ".", "_" and "-", beginning with a letter or digit`,
      );
  const origin = logOrigin(settings);
  const dir = logFolder(settings);
  inFiles(dir, () => mkdirSync(join(dir, "segments"), { recursive: true, mode: 0o750 }));
  const lock = takeLock(join(dir, "lock"));
  let log: OpenLog | null = null;
  try {
    const fresh = inFiles(dir, () => segmentFirsts(dir).length === 0);
    const anchors = options.anchors ?? [];
    const before = fresh ? await readAnchors(anchors, origin, knownRing(settings.keys)) : null;
    if (before !== null && options.fork === undefined) refuseMisfit(0, before.kept, before.foreign);
    const prepared = inFiles(dir, () => prepare(settings, origin, dir, fresh, options.fork !== undefined));
    const findings = before ?? (await readAnchors(anchors, origin, prepared.keys.ring));
    log = inFiles(dir, () => begin(settings, options, origin, dir, lock, prepared, findings));
    await log.settle();
    if (existsSync(nextKeyPath(settings.keys))) await log.rotateKey();
    log.tend(new LogCare(log, options.tell ?? (() => {}), options.careMs));
    return log;
  } catch (error) {
    log?.abandon();
    lock.release();
    if (error instanceof AuditOpenError) throw error;
    throw new AuditOpenError("AUDIT_IO", `the audit log in ${dir} cannot be written`, { cause: error });
  }
}

function inFiles<T>(dir: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof AuditOpenError) throw error;
    const code = error instanceof Error && "code" in error ? ` (${String(error.code)})` : "";
    throw new AuditOpenError("AUDIT_IO", `the audit log in ${dir} cannot be read or written${code}`, {
      cause: error,
    });
  }
}

interface Prepared {
  readonly keys: LogKeys;
  readonly found: Recovered;
}

/** The public keys that the keys folder has so far; what is damaged is told when the keys are loaded. */
function knownRing(folder: string): LogKeys["ring"] {
  return readKeyHistory(folder)
    .map(parseVerifierKey)
    .flatMap((key) => (key.ok ? [key.value] : []));
}

function prepare(
  settings: AuditSettings,
  origin: string,
  dir: string,
  fresh: boolean,
  fork: boolean,
): Prepared {
  const keys = loadKeys(settings.keys, origin, fresh);
  finishPruning(dir);
  keepPublicKey(dir, keys, fresh);
  const found = fresh ? startNew(dir, origin) : recover(dir, keys, { rollback: fork });
  ensureLeaves(dir, segmentFirsts(dir), found.tree.size, found.clean);
  keepBallast(dir);
  return { keys, found };
}

/** Holds the log against its anchors. Gives what a fork gives up; [] when it fits. Throws AuditOpenError AUDIT_ANCHOR. */
function compareAnchors(
  { found }: Prepared,
  dir: string,
  origin: string,
  findings: AnchorFindings,
  options: OpenOptions,
): KeptNote[] {
  const { size } = found.tree;
  const { kept, unread, foreign } = findings;
  const lost = misfits({ dir, origin, firsts: segmentFirsts(dir), size }, findings);
  if (options.fork === undefined) refuseMisfit(size, lost, foreign);
  for (const { anchor, why } of unread) options.tell?.({ kind: "anchor-unread", anchor, why });
  for (const { anchor, checkpoint } of kept)
    if (!lost.some((l) => l.anchor === anchor))
      options.tell?.({ kind: "anchor-fits", anchor, size: checkpoint.size, behind: size - checkpoint.size });
  return [...lost, ...found.rolledBack];
}

function begin(
  settings: AuditSettings,
  options: OpenOptions,
  origin: string,
  dir: string,
  lock: { release(): void },
  prepared: Prepared,
  findings: AnchorFindings,
): OpenLog {
  const { keys, found } = prepared;
  const lost = compareAnchors(prepared, dir, origin, findings, options);
  if (options.fork !== undefined && lost.length === 0 && findings.foreign.length === 0)
    throw new AuditOpenError(
      "AUDIT_SETTINGS",
      "the audit log continues what its anchors have: there is nothing to fork",
    );
  const { tree } = found;
  const at = { size: tree.size, root: tree.root().toString("base64") };
  const signer = createSigner(keys.vkey, keys.signing);
  const io = new CountingIo(options.io ?? systemIo);
  const limits = { ...defaultLimits, ...options.limits };
  const start = (state: Recovered, withKeys: LogKeys): GroupCommit => {
    const { tree, first, point, frame } = state;
    return new GroupCommit({ dir, keys: withKeys, tree, first, point, frame }, signer, io, limits);
  };
  const opened = (log: OpenLog, state: Recovered, withKeys: LogKeys): void => {
    log.event("log.opened", {
      log: origin,
      version: options.version,
      public_key: withKeys.vkey,
      cluster: settings.cluster,
      durability: settings.durability,
      previous:
        state.checkpoint === null
          ? null
          : { size: state.tree.size, root: state.tree.root().toString("base64") },
    });
  };
  const commit = start(found, keys);
  try {
    const log = new OpenLog({
      origin,
      node: settings.node,
      dir,
      keysDir: settings.keys,
      keys,
      signer,
      commit,
      lock,
      captureRows: settings.results.captureRows,
      retentionMs: settings.retentionSeconds == null ? null : settings.retentionSeconds * 1000,
      reopen(withKeys, old) {
        if (io.busy || old.blobs.syncing > 0) throw new Error("a sync is still under way");
        if (!hasRoom(dir)) throw new Error("the disk is still full");
        old.end();
        keepBallast(dir);
        const state = recover(dir, withKeys);
        ensureLeaves(dir, segmentFirsts(dir), state.tree.size, state.clean);
        const failure = old.failure?.message ?? null;
        return {
          commit: start(state, withKeys),
          begin(again) {
            opened(again, state, withKeys);
            again.event("log.recovered", { ...repair(state), failure });
            for (const intent of state.unresolved) again.unknownOutcome(intent);
          },
        };
      },
    });
    opened(log, found, keys);
    if (!found.clean || found.unresolved.length > 0) log.event("log.recovered", repair(found));
    if (options.fork !== undefined)
      log.event("log.forked", forkRecord(options.fork, at, lost, findings.foreign));
    for (const intent of found.unresolved) log.unknownOutcome(intent);
    return log;
  } catch (error) {
    commit.end();
    throw error;
  }
}

/** Knows whether an fdatasync is under way: its file must not be closed. */
class CountingIo implements AuditIo {
  private readonly io: AuditIo;
  private under = 0;

  constructor(io: AuditIo) {
    this.io = io;
  }

  get busy(): boolean {
    return this.under > 0;
  }

  writeSync(fd: number, buffer: Buffer, offset: number, length: number): number {
    return this.io.writeSync(fd, buffer, offset, length);
  }

  fdatasync(fd: number, done: (error: Error | null) => void): void {
    this.under++;
    this.io.fdatasync(fd, (error) => {
      this.under--;
      done(error);
    });
  }
}

/** What the log says of its repair. */
function repair({ checkpoint, adopted, quarantined, unresolved }: Recovered): Record<string, unknown> {
  return {
    checkpoint: checkpoint === null ? null : { size: checkpoint.size, time: checkpoint.time },
    adopted,
    quarantined,
    unresolved: unresolved.length,
  };
}

/** The public key lies beside the log, so that a copied folder can be checked. */
function keepPublicKey(dir: string, keys: LogKeys, fresh: boolean): void {
  const path = join(dir, "log.vkey");
  if (!existsSync(path)) writeNewFile(path, `${keys.first}\n`, 0o644);
  else if (readFileSync(path, "utf8") !== `${keys.first}\n`)
    throw new AuditOpenError(
      "AUDIT_KEYS",
      `${path} is not the public key of the signing key in use: ${fresh ? "remove it" : "restore the keys this log was written with"}`,
    );
}

function startNew(dir: string, origin: string): Recovered {
  writeNewFile(join(dir, "segments", segmentName(0)), "", 0o640);
  return {
    tree: new CompactRange(),
    first: 0,
    point: { offset: 0, chain: chainStart(origin, 0, Buffer.alloc(32)), tail: Buffer.alloc(0) },
    frame: 0,
    checkpoint: null,
    adopted: 0,
    quarantined: null,
    unresolved: [],
    rolledBack: [],
    clean: true,
  };
}
