/**
 * Deciding needs a fresh login. When the gateway says so, the person is asked to show themselves again and comes back to
 * the same page; nothing is repeated by itself.
 */
import { useSyncExternalStore } from "react";
import { ownPath } from "../lib/api.ts";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";

let wanted: string | null = null;
const listeners = new Set<() => void>();

function set(next: string | null): void {
  wanted = next;
  for (const listener of listeners) listener();
}

/** `login`: where the gateway says the fresh login begins; null: its usual place. */
export function askStepUp(login: string | null): void {
  const url = new URL(ownPath(login) ?? "/login?step_up=1", window.location.origin);
  url.searchParams.set("return", window.location.pathname + window.location.search);
  set(url.pathname + url.search);
}

export function StepUp() {
  const login = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => wanted,
  );
  if (login === null) return null;
  return (
    <Dialog
      title="Confirm that it is you"
      onClose={() => set(null)}
      actions={
        <>
          <Button look="quiet" onClick={() => set(null)}>
            Not now
          </Button>
          <Button look="primary" icon="lock" data-autofocus onClick={() => window.location.assign(login)}>
            Sign in again
          </Button>
        </>
      }
    >
      <p>
        Decisions and administration need a login of the last few minutes. Sign in again at your identity
        provider; you come back to this page, with what you wrote. Nothing has been done yet: you press the
        button once more yourself.
      </p>
    </Dialog>
  );
}
