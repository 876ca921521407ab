/**
 * Records of statements that have their place on the log and are made into leaves when their batch is written, all in one
 * go: between two system calls of the relay each would find the processor's caches cold, and cost twice as much. A record
 * that may need a blob is made at once, so that whoever appends it is told when that fails.
 */
import type { Unbuilt } from "./commit.ts";
import { micros } from "./record/clock.ts";
import type { Delivered } from "./record/digest.ts";
import { wordsRoom } from "./record/words.ts";
import { type Appender, buildIntent, buildOutcome } from "./statement.ts";
import type { IntentFields, OutcomeFields, SessionContext } from "./types.ts";
import { maxLeaf } from "./verify/segment.ts";

/** Sealed text longer than this, in characters, may have to go to a blob. */
const longSealed = 64 * 1024;
/** Bytes of a leaf's fixed words, roughly. */
const wordsBytes = 512;

interface Waiting {
  session: SessionContext | null;
  intent: IntentFields | null;
  outcome: OutcomeFields | null;
  delivered: Delivered | null;
  time: number;
}

export class Pending implements Unbuilt {
  count = 0;
  bytes = 0;
  private readonly to: Appender;
  /** Used over and over. */
  private readonly waiting: Waiting[] = [];

  constructor(to: Appender) {
    this.to = to;
  }

  /** Takes an intent, gives its index. Throws AuditUnavailable, and TypeError for JSON text with raw newlines. */
  intent(session: SessionContext, intent: IntentFields): number {
    const { commit } = this.to;
    const { statement, decision, sealed, parameters, request, transactionId, name, portal } = intent;
    if (sealed.includes("\n") || parameters.includes("\n"))
      throw new TypeError("sealed and parameters must be JSON text without raw newlines");
    const index = commit.size;
    const fixed =
      session.head.length +
      session.facts.length +
      statement.sql.length +
      statement.facts.length +
      decision.text.length;
    const text =
      request.length + (transactionId?.length ?? 0) + 2 * (name.length + portal.length) + parameters.length;
    if (fixed + 3 * text + wordsRoom > maxLeaf || sealed.length > longSealed) {
      this.build();
      buildIntent(this.to, session, intent, micros(), index);
    } else {
      this.bytes += fixed + text + sealed.length + wordsBytes;
      this.put(session, intent, null, null);
    }
    commit.appended(true);
    return index;
  }

  /** Takes an outcome, gives its index. Throws AuditUnavailable. */
  outcome(session: SessionContext, outcome: OutcomeFields): number {
    const { commit } = this.to;
    const { request, tag, columns, capture, maskedCells } = outcome;
    const delivered = outcome.digest?.take() ?? null;
    const index = commit.size;
    const fixed =
      session.head.length +
      (columns?.text.length ?? 0) +
      (capture?.length ?? 0) +
      8 * (maskedCells?.length ?? 0) +
      this.to.outcomeRef.length;
    const text = request.length + 2 * (tag?.length ?? 0);
    if (fixed + 3 * text + wordsRoom > maxLeaf) {
      this.build();
      buildOutcome(this.to, session, outcome, delivered, micros());
    } else {
      this.bytes += fixed + text + wordsBytes;
      this.put(session, null, outcome, delivered);
    }
    commit.appended(false);
    return index;
  }

  build(): void {
    const { count, waiting, to } = this;
    if (count === 0) return;
    this.count = 0;
    this.bytes = 0;
    for (let i = 0; i < count; i++) {
      const record = waiting[i];
      if (record?.session == null) continue;
      const { session, intent, outcome, delivered, time } = record;
      record.session = null;
      record.intent = null;
      record.outcome = null;
      record.delivered = null;
      if (intent !== null) buildIntent(to, session, intent, time, to.commit.size);
      else if (outcome !== null) buildOutcome(to, session, outcome, delivered, time);
    }
  }

  private put(
    session: SessionContext,
    intent: IntentFields | null,
    outcome: OutcomeFields | null,
    delivered: Delivered | null,
  ): void {
    const time = micros();
    const record = this.waiting[this.count];
    if (record === undefined) this.waiting.push({ session, intent, outcome, delivered, time });
    else {
      record.session = session;
      record.intent = intent;
      record.outcome = outcome;
      record.delivered = delivered;
      record.time = time;
    }
    this.count++;
  }
}
