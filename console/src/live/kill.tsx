/** Ending one session, and the kill switch: every session of an agent ends and none of its tokens is good any more. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../lib/api.ts";
import { plural, visible } from "../lib/text.ts";
import type { Session } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { toast } from "../ui/toast.tsx";
import { WhoName, whoText } from "../ui/who.tsx";
import { sessionsKey } from "./sessions.ts";

export function EndSession({ session, onClose }: { readonly session: Session; onClose(): void }) {
  const queries = useQueryClient();
  const end = useMutation({
    mutationFn: () => api<undefined>(`/api/sessions/${encodeURIComponent(session.id)}`, { method: "DELETE" }),
    onSuccess: () => {
      toast("good", `The session of ${whoText(session.principal)} has ended.`);
      void queries.invalidateQueries({ queryKey: sessionsKey });
      onClose();
    },
  });
  return (
    <Dialog
      title="End this session?"
      onClose={onClose}
      actions={
        <>
          <Button look="quiet" onClick={onClose}>
            Leave it
          </Button>
          <Button look="danger" icon="cross" busy={end.isPending} data-autofocus onClick={() => end.mutate()}>
            End session
          </Button>
        </>
      }
    >
      <p>
        <WhoName who={session.principal} /> on <Text value={session.database} />
      </p>
      <p>
        Its running statement is cancelled and an open transaction is rolled back. The caller may connect
        again: to keep an agent out, use the kill switch.
      </p>
    </Dialog>
  );
}

/** Whom a kill switch stops. */
export interface Target {
  /** The agent's verified name: the actor of a token, or the subject of an agent that acts for itself. */
  readonly agent: string;
  readonly subject: string | null;
  readonly issuer: string | null;
}

/** The agent behind a session; null: a person or service that no agent acts for. */
export function targetOf(session: Session): Target | null {
  const { principal } = session;
  const actor = principal.actor[0];
  if (actor !== undefined)
    return { agent: actor.subject, subject: null, issuer: actor.issuer ?? principal.issuer ?? null };
  if (principal.kind !== "agent") return null;
  return { agent: principal.subject, subject: principal.subject, issuer: principal.issuer ?? null };
}

interface KillSwitchProps {
  readonly target: Target;
  readonly sessions: readonly Session[];
  onClose(): void;
}

export function KillSwitch({ target, sessions, onClose }: KillSwitchProps) {
  const queries = useQueryClient();
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState(false);
  const hit = sessions.filter((session) => targetOf(session)?.agent === target.agent);
  const stop = useMutation({
    mutationFn: () =>
      api<unknown>("/api/revocations", {
        method: "POST",
        body: {
          ...(target.subject === null ? { agent: target.agent } : { subject: target.subject }),
          ...(target.issuer === null ? {} : { issuer: target.issuer }),
          reason: reason.trim(),
        },
      }),
    onSuccess: () => {
      toast("good", `${visible(target.agent)} is stopped.`);
      void queries.invalidateQueries({ queryKey: ["revocations"] });
      void queries.invalidateQueries({ queryKey: sessionsKey });
      onClose();
    },
  });
  const submit = () => {
    setAsked(true);
    if (reason.trim() !== "") stop.mutate();
  };
  return (
    <Dialog
      title="Stop this agent?"
      onClose={onClose}
      actions={
        <>
          <Button look="quiet" onClick={onClose}>
            Leave it
          </Button>
          <Button look="danger" icon="octagon" busy={stop.isPending} onClick={submit}>
            Stop agent
          </Button>
        </>
      }
    >
      <p className="kill-name">
        <Icon name="agent" />
        <strong>
          <Text value={target.agent} />
        </strong>
      </p>
      <div className="note deny">
        <Icon name="octagon" />
        <div>
          {hit.length === 0
            ? "It has no open session now"
            : `${plural(hit.length, "open session")} ${hit.length === 1 ? "ends" : "end"} at once`}
          , and from now on every token of this agent is refused, on every node, until the stop is lifted
          here.
        </div>
      </div>
      <Field
        label="Reason, for the record"
        error={asked && reason.trim() === "" ? "Say why: it goes on the audit log." : null}
      >
        {(wiring) => (
          <textarea
            {...wiring}
            className="input"
            data-autofocus
            value={reason}
            maxLength={500}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
    </Dialog>
  );
}
