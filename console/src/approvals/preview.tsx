/** What the statement would do: run by the gateway in a transaction that is always rolled back. Started by the approver. */

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError, api } from "../lib/api.ts";
import { useKeys } from "../lib/keys.ts";
import { plural } from "../lib/text.ts";
import type { Approval, EffectPreview } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { RelativeTime } from "../ui/time.tsx";
import { mayDecide } from "./pending.ts";
import { PreviewTable } from "./preview-table.tsx";

export function EffectPreviewCard({ approval }: { readonly approval: Approval }) {
  const queries = useQueryClient();
  const run = useMutation({
    mutationFn: () =>
      api<EffectPreview>(`/api/approvals/${encodeURIComponent(approval.id)}/preview`, {
        method: "POST",
        body: {},
      }),
    meta: { quiet: true },
    onSettled: () => void queries.invalidateQueries({ queryKey: ["approvals"] }),
  });
  const preview = run.data ?? approval.preview;
  const may = approval.state === "pending" && mayDecide(approval);
  const start = () => {
    if (!run.isPending) run.mutate();
  };
  useKeys({ p: start }, may);
  if (preview === null && !may) return null;
  return (
    <section className="approval-part" aria-labelledby="preview-title">
      <div className="part-head">
        <h3 id="preview-title">Effect</h3>
        {may ? (
          <Button icon={preview === null ? "eye" : "refresh"} hint="p" busy={run.isPending} onClick={start}>
            {preview === null ? "Try it out" : "Again"}
          </Button>
        ) : null}
      </div>
      {run.isError ? (
        <div className="note hold" role="alert">
          <Icon name="info" />
          <div>
            It could not be tried out:{" "}
            <Text value={run.error instanceof ApiError ? run.error.message : "something went wrong here"} />
          </div>
        </div>
      ) : null}
      <div aria-live="polite">
        {preview === null ? (
          <p className="faint">
            Runs it in a transaction that is rolled back, under the same limits, and shows what would change.
          </p>
        ) : (
          <Shown preview={preview} />
        )}
      </div>
    </section>
  );
}

function Shown({ preview }: { readonly preview: EffectPreview }) {
  return (
    <div className="preview">
      {preview.refused === null ? (
        <p className="preview-count">
          <strong>{preview.rowsAffected === null ? "No count" : plural(preview.rowsAffected, "row")}</strong>{" "}
          {preview.rowsAffected === null ? "of rows was given" : "would change"}
          <span className="faint">
            {" · tried out "}
            <RelativeTime iso={preview.time} /> by <Text value={preview.by} />, rolled back
          </span>
        </p>
      ) : (
        <div className="note hold">
          <Icon name="info" />
          <div>
            It was not tried out: <Text value={preview.refused} />
          </div>
        </div>
      )}
      {preview.sample === null ? null : <PreviewTable sample={preview.sample} />}
      {preview.notes.map((note) => (
        <p key={note} className="faint preview-note">
          <Icon name="info" size={14} /> <Text value={note} />
        </p>
      ))}
    </div>
  );
}
