/** The form of an access request. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useMe } from "../app/me.ts";
import { api } from "../lib/api.ts";
import { navigate } from "../lib/router.tsx";
import { span } from "../lib/time.ts";
import type { Approval } from "../lib/types.ts";
import { Button } from "../ui/button.tsx";
import { Field } from "../ui/form.tsx";
import { toast } from "../ui/toast.tsx";

const times = [900, 1800, 3600, 7200, 14_400, 28_800];

export function RequestForm() {
  const me = useMe();
  const queries = useQueryClient();
  const { offers } = me;
  const known = [...new Set([...offers.map((one) => one.database), ...me.databases.map(({ name }) => name)])];
  const [database, setDatabase] = useState(known[0] ?? "");
  const groups = offers.filter((one) => one.database === database.trim()).map((one) => one.group);
  const [typed, setGroup] = useState<string | null>(null);
  const group = typed ?? (groups.length === 1 ? (groups[0] ?? "") : "");
  const longest =
    offers.find((one) => one.database === database.trim() && one.group === group.trim())?.maxSeconds ??
    28_800;
  const [seconds, setSeconds] = useState(3600);
  const [reason, setReason] = useState("");
  const [asked, setAsked] = useState(false);
  const send = useMutation({
    mutationFn: () =>
      api<Approval>("/api/access", {
        method: "POST",
        body: {
          database: database.trim(),
          group: group.trim(),
          seconds: Math.min(seconds, longest),
          reason: reason.trim(),
        },
      }),
    onSuccess: (made) => {
      toast("good", "Asked. You will see here when it is decided.");
      setReason("");
      setAsked(false);
      void queries.invalidateQueries({ queryKey: ["approvals"] });
      navigate(`/approvals/${encodeURIComponent(made.id)}`);
    },
  });
  const missing = {
    database: database.trim() === "",
    group: group.trim() === "",
    reason: reason.trim() === "",
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setAsked(true);
    if (!missing.database && !missing.group && !missing.reason && !send.isPending) send.mutate();
  };
  return (
    <form className="card-body access-form" onSubmit={submit} noValidate>
      <Field label="Database" error={asked && missing.database ? "Choose a database." : null}>
        {(wiring) => (
          <>
            <input
              {...wiring}
              className="input"
              list="access-databases"
              value={database}
              autoComplete="off"
              onChange={(event) => setDatabase(event.target.value)}
            />
            <datalist id="access-databases">
              {known.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field
        label="Group"
        hint={
          groups.length === 0
            ? "Nothing is offered to you on this database: see approvals.access in postern.yaml."
            : `You may ask for ${groups.join(", ")}. What a group may do is the policy's matter.`
        }
        error={asked && missing.group ? "Name the group that you need." : null}
      >
        {(wiring) => (
          <>
            <input
              {...wiring}
              className="input"
              list="access-groups"
              value={group}
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={200}
              onChange={(event) => setGroup(event.target.value)}
            />
            <datalist id="access-groups">
              {groups.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      <Field label="For">
        {(wiring) => (
          <select
            {...wiring}
            className="input"
            value={Math.min(seconds, longest)}
            onChange={(event) => setSeconds(Number(event.target.value))}
          >
            {[...times.filter((each) => each < longest), longest].map((each) => (
              <option key={each} value={each}>
                {span(each)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field
        label="Reason"
        hint="The approver reads it, and it goes on the audit log."
        error={asked && missing.reason ? "Say what you need it for." : null}
      >
        {(wiring) => (
          <textarea
            {...wiring}
            className="input"
            value={reason}
            maxLength={1000}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
      <Button look="primary" icon="access" type="submit" busy={send.isPending}>
        Ask for access
      </Button>
    </form>
  );
}
