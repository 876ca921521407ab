/** The last question before a decision. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type KeyboardEvent, useState } from "react";
import { ApiError, api } from "../lib/api.ts";
import { oneLine } from "../lib/text.ts";
import type { Approval, ApprovalScope } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { SqlLine } from "../ui/sql.tsx";
import { toast } from "../ui/toast.tsx";
import { WhoName } from "../ui/who.tsx";
import { dropDraft, readDraft, saveDraft } from "./draft.ts";
import { ScopeChoice } from "./scope.tsx";
import { stillMissing, wish } from "./words.ts";

interface DecideProps {
  readonly approval: Approval;
  readonly verdict: "approve" | "deny";
  onClose(): void;
}

export function Decide({ approval, verdict, onClose }: DecideProps) {
  const queries = useQueryClient();
  const [draft] = useState(() => readDraft(approval.id));
  const kept = draft?.verdict === verdict ? draft : null;
  const [reason, setReason] = useState(kept?.reason ?? "");
  const [scope, setScope] = useState<ApprovalScope>(kept?.scope ?? { kind: "once" });
  const [asked, setAsked] = useState(false);
  const approving = verdict === "approve";
  const missing = !approving && reason.trim() === "";
  const send = useMutation({
    mutationFn: () =>
      api<Approval>(`/api/approvals/${encodeURIComponent(approval.id)}/${verdict}`, {
        method: "POST",
        body: {
          ...(reason.trim() === "" ? {} : { reason: reason.trim() }),
          ...(approving && scope.kind === "shape" ? { scope } : {}),
        },
      }),
    onSuccess: (next) => {
      dropDraft(approval.id);
      toast("good", done(next, approving));
      onClose();
    },
    onError: (error) => {
      // The person comes back from the login to what they wrote: from a fresh one, and from one anew when the session was over.
      if (error instanceof ApiError && (error.code === "STEP_UP_REQUIRED" || error.status === 401))
        saveDraft(approval.id, { verdict, reason, scope });
    },
    onSettled: () => void queries.invalidateQueries({ queryKey: ["approvals"] }),
  });
  const submit = () => {
    setAsked(true);
    if (!missing && !send.isPending) send.mutate();
  };
  const close = () => {
    dropDraft(approval.id);
    onClose();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    submit();
  };
  const others = stillMissing(approval);
  return (
    <Dialog
      title={approving ? "Approve this?" : "Deny this?"}
      onClose={close}
      actions={
        <>
          <Button large look="quiet" onClick={close}>
            Back
          </Button>
          <Button
            large
            look={approving ? "allow" : "danger"}
            icon={approving ? "check" : "cross"}
            busy={send.isPending}
            onClick={submit}
            {...(approving ? { "data-autofocus": true } : {})}
          >
            {approving ? "Approve" : "Deny"}
          </Button>
        </>
      }
    >
      <div className="decide-what">
        <p>
          <WhoName who={approval.requester} /> wants {wish(approval)}
        </p>
        {approval.statements[0] === undefined ? null : (
          <p className="decide-sql">
            <SqlLine sql={oneLine(approval.statements[0].sql, 320)} limit={320} />
          </p>
        )}
      </div>
      {approval.can.stepUp ? (
        <div className="note">
          <Icon name="lock" />
          <div>Your login is some time ago: you will be asked to sign in again first.</div>
        </div>
      ) : null}
      {approving && approval.kind === "statement" ? (
        <ScopeChoice approval={approval} scope={scope} onChange={setScope} />
      ) : null}
      {approving &&
      others.length > 0 &&
      (approval.missing.length > 1 || (approval.missing[0]?.count ?? 1) > 1) ? (
        <p className="faint">Needed in all: {others.join(", and ")}. Yours is one of them.</p>
      ) : null}
      <Field
        label={approving ? "Reason (not needed)" : "Reason"}
        hint={approving ? undefined : "The caller is told, and it goes on the audit log."}
        error={asked && missing ? "Say why: the caller needs to know what to do instead." : null}
      >
        {(wiring) => (
          <textarea
            {...wiring}
            className="input"
            rows={approving ? 2 : 3}
            maxLength={1000}
            value={reason}
            onKeyDown={keys}
            onChange={(event) => setReason(event.target.value)}
            {...(approving ? {} : { "data-autofocus": true })}
          />
        )}
      </Field>
    </Dialog>
  );
}

function done(next: Approval | undefined, approving: boolean): string {
  if (!approving) return "Denied.";
  return next?.state === "pending" ? "Your approval counts; others must agree too." : "Approved.";
}
