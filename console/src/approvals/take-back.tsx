/** Takes back an approval for a while, or a grant of access. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../lib/api.ts";
import type { Approval } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/form.tsx";
import { toast } from "../ui/toast.tsx";

/** `id`: the approval's, which is also the grant's. */
export function TakeBack({ id, onClose }: { readonly id: string; onClose(): void }) {
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState(false);
  const missing = reason.trim() === "";
  const revoke = useMutation({
    mutationFn: () =>
      api<Approval>(`/api/approvals/${encodeURIComponent(id)}/revoke`, {
        method: "POST",
        body: { reason: reason.trim() },
      }),
    onSuccess: () => {
      toast("good", "Taken back.");
      void queries.invalidateQueries({ queryKey: ["approvals"] });
      void queries.invalidateQueries({ queryKey: ["grants"] });
      onClose();
    },
  });
  const submit = () => {
    setAsked(true);
    if (!missing && !revoke.isPending) revoke.mutate();
  };
  return (
    <Dialog
      title="Take it back?"
      onClose={onClose}
      actions={
        <>
          <Button look="quiet" onClick={onClose}>
            Leave it
          </Button>
          <Button look="danger" icon="cross" busy={revoke.isPending} onClick={submit}>
            Take back
          </Button>
        </>
      }
    >
      <p>From now on it is as if it had never been given. What was done with it stays done.</p>
      <Field
        label="Reason"
        hint="It goes on the audit log."
        error={asked && missing ? "Say why it is taken back." : null}
      >
        {(wiring) => (
          <textarea
            {...wiring}
            className="input"
            data-autofocus
            maxLength={500}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
    </Dialog>
  );
}
