/** Who is signed in, as what; theme, notifications, signing out. */
import { useMutation } from "@tanstack/react-query";
import { useEffect, useId, useRef, useState } from "react";
import { api } from "../lib/api.ts";
import { askForNotifications, useNotifications } from "../lib/notify.ts";
import { setTheme, type Theme, useTheme } from "../lib/theme.ts";
import { Badge } from "../ui/badge.tsx";
import { Button } from "../ui/button.tsx";
import { Choice } from "../ui/form.tsx";
import { Icon } from "../ui/icons.tsx";
import { Text } from "../ui/text.tsx";
import { RelativeTime } from "../ui/time.tsx";
import { useMe } from "./me.ts";

export function Account({ onHelp }: { onHelp(): void }) {
  const me = useMe();
  const [open, setOpen] = useState(false);
  const panel = useId();
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && box.current?.contains(event.target) === false) setOpen(false);
    };
    const leave = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      opener.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", leave);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", leave);
    };
  }, [open]);
  const name = me.email ?? me.subject;
  return (
    <div className="account" ref={box}>
      <button
        ref={opener}
        type="button"
        className="account-button"
        aria-expanded={open}
        aria-controls={open ? panel : undefined}
        onClick={() => setOpen(!open)}
      >
        <span className="avatar" aria-hidden="true">
          {/[\p{L}\p{N}]/u.exec(name)?.[0]?.toUpperCase() ?? "?"}
        </span>
        <span className="account-name">
          <span className="visually-hidden">Account: </span>
          <Text value={name} />
        </span>
        <Icon name="down" size={14} />
      </button>
      {open ? (
        <section id={panel} className="account-panel" aria-label="Account">
          <AccountPanel
            onHelp={() => {
              setOpen(false);
              onHelp();
            }}
          />
        </section>
      ) : null}
    </div>
  );
}

function AccountPanel({ onHelp }: { onHelp(): void }) {
  const me = useMe();
  const theme = useTheme();
  const notifications = useNotifications();
  const logout = useMutation({
    mutationFn: () => api<undefined>("/api/logout", { method: "POST", body: {} }),
    // The start, from where who is signed out is led to the login page: the server's /login may begin a login at once.
    onSuccess: () => window.location.assign("/"),
  });
  return (
    <>
      <div className="account-who">
        <strong>
          <Text value={me.email ?? me.subject} />
        </strong>
        <span className="faint">
          <Text value={me.subject} /> at <Text value={me.provider} />
        </span>
        <span className="badges">
          {me.roles.map((role) => (
            <Badge key={role} tone="accent">
              {role}
            </Badge>
          ))}
        </span>
      </div>
      <dl className="facts">
        <div>
          <dt>Groups</dt>
          <dd>{me.groups.length === 0 ? "none" : <Text value={me.groups.join(", ")} />}</dd>
        </div>
        <div>
          <dt>Signed in</dt>
          <dd>
            {me.authTime === null ? "unknown" : <RelativeTime iso={me.authTime} />}
            {me.stepUpFresh ? ", may decide" : ", deciding asks for a fresh login"}
          </dd>
        </div>
        <div>
          <dt>Ends</dt>
          <dd>
            <RelativeTime iso={me.expires} />
          </dd>
        </div>
        <div>
          <dt>Gateway</dt>
          <dd>
            <Text value={`${me.node}, version ${me.version}`} />
          </dd>
        </div>
      </dl>
      <div className="account-row">
        <span>Theme</span>
        <Choice<Theme>
          label="Theme"
          value={theme}
          onChange={setTheme}
          options={[
            { value: "system", label: "Auto" },
            { value: "light", label: "Light" },
            { value: "dark", label: "Dark" },
          ]}
        />
      </div>
      {notifications === "unsupported" ? null : (
        <div className="account-row">
          <span>Notify me of approvals</span>
          {notifications === "granted" ? (
            <Badge tone="allow" icon="check">
              on
            </Badge>
          ) : notifications === "denied" ? (
            <span className="faint">blocked in the browser</span>
          ) : (
            <Button icon="bell" onClick={askForNotifications}>
              Turn on
            </Button>
          )}
        </div>
      )}
      <div className="account-end">
        <Button look="quiet" icon="keyboard" onClick={onHelp}>
          Keyboard
        </Button>
        <Button look="quiet" icon="logout" busy={logout.isPending} onClick={() => logout.mutate()}>
          Sign out
        </Button>
      </div>
    </>
  );
}
