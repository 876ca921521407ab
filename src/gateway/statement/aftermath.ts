/** What may be different behind a statement: settings, objects, what errors may tell; until the server says how it ended. */
import { gravest } from "../../sql/index.ts";
import { noteChange, noteSettled } from "./changes.ts";
import { type Guarding, type Judgement, unsettle } from "./judgement.ts";

/** A statement of batch `batch` is on its way to the server: what may be different behind it. */
export function noteForwarded(guard: Guarding, judgement: Judgement, batch: number): void {
  const { after, scrub } = judgement;
  noteChange(guard.changes, judgement);
  if (scrub) guard.scrub = batch;
  if (after.loosens) guard.loosened = true;
  if (after.settings || (after.ends && guard.settings >= 0)) {
    guard.uncertain = true;
    guard.settings = batch;
  }
  if (after.objects || (after.ends && guard.ddl >= 0)) {
    guard.ddl = batch;
    guard.localView = null;
    // A roll-back gives names back.
    guard.renamed = after.ends ? "others" : gravest(guard.renamed, after.renames);
    if (guard.local === "none") guard.local = "transaction";
    unsettle(guard);
  }
  if (after.temporary) guard.local = "session";
}

/**
 * ReadyForQuery of batch `batch` without a transaction: what was only the session's own is everybody's, or gone. What
 * later batches do, which are on their way, is still to come.
 */
export function noteIdle(guard: Guarding, batch: number): void {
  if (guard.scrub <= batch) guard.scrub = -1;
  if (guard.settings >= 0 && guard.settings <= batch) {
    // The end of the transaction may have taken them back.
    guard.settings = -1;
    guard.uncertain = true;
  }
  if (guard.ddl >= 0 && guard.ddl <= batch) {
    guard.ddl = -1;
    guard.localView = null;
    if (guard.local === "transaction") guard.local = "none";
    guard.analyst.bump();
    unsettle(guard);
    noteSettled(guard.changes);
  }
}

/** A server goes on with what it was told when nobody listens any more. */
const afterwardsMs = 3_000;

/** The session is over. What it did of late may still come into force. */
export function noteOver({ ddl, analyst, changes }: Guarding): void {
  if (ddl >= 0) analyst.bump();
  if (!changes.shared.ending.has(changes)) {
    noteSettled(changes);
    return;
  }
  setTimeout(() => {
    analyst.bump();
    noteSettled(changes);
  }, afterwardsMs).unref();
}
