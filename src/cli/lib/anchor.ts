/** The audit log's anchors in a running gateway, and what its own log says of them. */
import type pino from "pino";
import {
  type Anchor,
  type Anchoring,
  type AuditLog,
  type OpenNews,
  startAnchoring,
} from "../../audit/index.ts";

/** What the opening of the audit log has to say, as lines of the gateway's log. */
export function tellOpenNews(logger: pino.Logger): (news: OpenNews) => void {
  return (news) => {
    switch (news.kind) {
      case "anchor-unread":
        logger.warn(
          { anchor: news.anchor, why: news.why },
          "the audit log was not compared with this anchor: it cannot be read",
        );
        return;
      case "anchor-fits":
        logger.info(
          { anchor: news.anchor, checkpoint_size: news.size, unanchored: news.behind },
          "the audit log continues what this anchor has",
        );
        return;
      case "low":
        logger.error(
          { free_bytes: news.free },
          "the audit log's disk is nearly full: no new session begins until there is room",
        );
        return;
      case "enough":
        logger.info({ free_bytes: news.free }, "the audit log's disk has room again: sessions may begin");
        return;
      case "recovered":
        logger.warn(
          { failure: news.failure, seconds: news.seconds },
          "the audit log can be written again: statements are forwarded, and the log says what happened",
        );
        return;
      case "not-recovered":
        logger.error({ why: news.why }, "the audit log still cannot be written");
        return;
      case "errand-failed":
        logger.error({ why: news.why }, "the audit log could not do what it was asked for");
        return;
    }
  };
}

/** Keeps the anchors up to date and says so when one cannot be reached; `stop` brings them the last checkpoint. Call it when the log is closed. */
export function keepAnchored(
  audit: AuditLog,
  anchors: readonly Anchor[],
  logger: pino.Logger,
): Pick<Anchoring, "states" | "unanchored"> & { stop(): Promise<void> } {
  if (anchors.length === 0)
    logger.warn("audit.anchors is empty: a loss of the end of the audit log could not be shown");
  const anchoring = startAnchoring(audit, anchors, (news) => {
    if (news.kind === "failed")
      logger.warn(
        { anchor: news.anchor, why: news.why, attempts: news.attempts, unanchored: news.unanchored },
        "an anchor did not take the audit log's checkpoint: records behind its last one are not anchored there",
      );
    else
      logger.info(
        { anchor: news.anchor, checkpoint_size: news.size, unanchored: news.unanchored },
        "an anchor takes the audit log's checkpoints again",
      );
  });
  return {
    states: () => anchoring.states(),
    get unanchored() {
      return anchoring.unanchored;
    },
    async stop() {
      const left = (await anchoring.stop()).filter(({ unanchored }) => unanchored > 0);
      for (const { anchor, unanchored } of left)
        logger.warn(
          { anchor, unanchored },
          "the audit log is closed with records that are not anchored here",
        );
    },
  };
}
