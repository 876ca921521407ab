/** What the running gateway counts, as metrics. */
import type { Metric } from "../../api/index.ts";
import type { ApprovalStats, Webhooks } from "../../approvals/index.ts";
import type { Anchoring, AuditLog } from "../../audit/index.ts";
import type { Gateway } from "../../gateway/index.ts";
import type { Identity } from "../../identity/index.ts";
import type { Trail } from "./trail.ts";

export function gatewayMetrics(
  gateway: Gateway,
  identity: Identity,
  audit: AuditLog,
  anchoring: Pick<Anchoring, "states" | "unanchored">,
  trail: Pick<Trail, "indexer" | "exports">,
): Metric[] {
  const index = trail.indexer.state;
  const exports = trail.exports.map(({ name, state }) => ({ labels: { export: name }, state }));
  const anchors = anchoring.states();
  const stats = gateway.stats();
  const tokens = identity.metrics;
  return [
    one("postern_sessions", "gauge", "Sessions open now.", stats.sessions),
    one("postern_sessions_total", "counter", "Sessions begun.", stats.sessionsTotal),
    one(
      "postern_statements_total",
      "counter",
      "Statements received, whatever became of them.",
      stats.statements,
    ),
    one("postern_statements_denied_total", "counter", "Statements refused by Postern.", stats.denied),
    one("postern_statements_failed_total", "counter", "Statements that ended with an error.", stats.errors),
    one(
      "postern_auth_failures_total",
      "counter",
      "Connections refused before a session began.",
      stats.authFailures,
    ),
    {
      name: "postern_protected_readable",
      type: "gauge",
      help: "Protected columns that a login may read in the database itself, past the gateway.",
      samples: gateway
        .exposed()
        .map(({ database, login, columns }) => ({ labels: { database, login }, value: columns })),
    },
    {
      name: "postern_client_bytes_total",
      type: "counter",
      help: "Bytes exchanged with clients.",
      samples: [
        { labels: { direction: "in" }, value: stats.bytesIn },
        { labels: { direction: "out" }, value: stats.bytesOut },
      ],
    },
    one("postern_audit_records", "gauge", "Records in this log.", audit.size),
    one(
      "postern_audit_failed",
      "gauge",
      "1: the log cannot be written, and nothing is forwarded.",
      audit.failure === null ? 0 : 1,
    ),
    one(
      "postern_audit_unanchored_events",
      "gauge",
      "Records that the least current anchor does not cover: their loss could not be shown.",
      anchoring.unanchored,
    ),
    {
      name: "postern_audit_anchored_events",
      type: "gauge",
      help: "Records under the newest checkpoint that an anchor has kept since the start.",
      samples: anchors.map(({ anchor, anchored }) => ({ labels: { anchor }, value: anchored })),
    },
    {
      name: "postern_audit_anchor_failures_total",
      type: "counter",
      help: "Checkpoints that an anchor did not take at once.",
      samples: anchors.map(({ anchor, failures }) => ({ labels: { anchor }, value: failures })),
    },
    one(
      "postern_audit_index_lag_records",
      "gauge",
      "Records that the search index does not have yet; a search reads them one by one.",
      Math.max(0, audit.size - index.records),
    ),
    one("postern_audit_index_failing", "gauge", "1: the search index cannot be written.", failing(index)),
    {
      name: "postern_audit_export_lag_records",
      type: "gauge",
      help: "Records that the receiver of an export has not acknowledged.",
      samples: exports.map(({ labels, state }) => ({ labels, value: Math.max(0, audit.size - state.next) })),
    },
    {
      name: "postern_audit_exported_total",
      type: "counter",
      help: "Records that the receiver of an export has acknowledged since the start.",
      samples: exports.map(({ labels, state }) => ({ labels, value: state.sent })),
    },
    {
      name: "postern_audit_export_missed_total",
      type: "counter",
      help: "Records that an export never delivered: pruned before it came to them, or refused by the receiver for good.",
      samples: exports.flatMap(({ labels, state }) => [
        { labels: { ...labels, why: "pruned" }, value: state.lost },
        { labels: { ...labels, why: "refused" }, value: state.rejected },
      ]),
    },
    {
      name: "postern_audit_export_failing",
      type: "gauge",
      help: "1: the last attempt of an export failed; it goes on trying.",
      samples: exports.map(({ labels, state }) => ({ labels, value: failing(state) })),
    },
    one(
      "postern_audit_captured_results_total",
      "counter",
      "Results of which rows were kept.",
      audit.captured.results,
    ),
    one(
      "postern_audit_captured_bytes_total",
      "counter",
      "Bytes of kept rows as they are stored, compressed and sealed.",
      audit.captured.bytes,
    ),
    {
      name: "postern_tokens_total",
      type: "counter",
      help: "Tokens judged.",
      samples: [
        { labels: { result: "verified" }, value: tokens.verified },
        { labels: { result: "cached" }, value: tokens.cached },
        { labels: { result: "refused" }, value: tokens.refused },
      ],
    },
    one(
      "postern_identity_stale_keys_total",
      "counter",
      "Tokens verified with keys past their refresh.",
      tokens.keysStale,
    ),
    one(
      "postern_identity_groups_maybe_truncated_total",
      "counter",
      "Tokens whose group list may have been cut by its issuer.",
      tokens.groupsMaybeTruncated,
    ),
  ];
}

/** `storeFailure`: why the store did not answer last; null: it did. */
export function approvalMetrics(
  stats: ApprovalStats,
  webhooks: Webhooks["stats"],
  storeFailure: Error | null,
): Metric[] {
  const ends = ["approved", "denied", "expired", "gone"] as const;
  return [
    one(
      "postern_store_failed",
      "gauge",
      "1: the shared store did not answer.",
      storeFailure === null ? 0 : 1,
    ),
    one("postern_approvals_pending", "gauge", "Requests that wait for people, on all nodes.", stats.pending),
    one(
      "postern_access_grants",
      "gauge",
      "Groups that somebody has for a while, on all nodes.",
      stats.grants,
    ),
    one("postern_approvals_requested_total", "counter", "Requests made through this node.", stats.requested),
    one(
      "postern_approvals_refused_total",
      "counter",
      "Requests that nobody was asked about: too many, or not offered.",
      stats.refused,
    ),
    {
      name: "postern_approvals_decided_total",
      type: "counter",
      help: "Requests that ended through this node, by what became of them.",
      samples: ends.map((end) => ({ labels: { result: end }, value: stats[end] })),
    },
    one(
      "postern_approvals_used_total",
      "counter",
      "Approved statements that ran through this node.",
      stats.used,
    ),
    one(
      "postern_approvals_break_glass_total",
      "counter",
      "Statements that ran without approval, for a reason given.",
      stats.breakGlass,
    ),
    {
      name: "postern_webhook_messages_total",
      type: "counter",
      help: "Messages to webhooks, by what became of them.",
      samples: webhooks.flatMap(({ name, delivered, lost }) => [
        { labels: { webhook: name, result: "delivered" }, value: delivered },
        { labels: { webhook: name, result: "lost" }, value: lost },
      ]),
    },
  ];
}

function failing({ problem }: { readonly problem: string | null }): number {
  return problem === null ? 0 : 1;
}

function one(name: string, type: Metric["type"], help: string, value: number): Metric {
  return { name, type, help, samples: [{ value }] };
}
