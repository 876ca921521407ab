/** Short messages at the edge of the page, read out by screen readers. */
import { useSyncExternalStore } from "react";
import { ApiError } from "../lib/api.ts";
import { visible } from "../lib/text.ts";
import { IconButton } from "./button.tsx";
import { Icon } from "./icons.tsx";

interface Toast {
  readonly id: number;
  readonly tone: "info" | "good" | "bad";
  readonly text: string;
}

let toasts: readonly Toast[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function change(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Shows a message for some seconds; errors stay until they are closed. */
export function toast(tone: Toast["tone"], text: string): void {
  const id = nextId;
  nextId += 1;
  change([...toasts.slice(-3), { id, tone, text: visible(text) }]);
  if (tone !== "bad") setTimeout(() => dismiss(id), 6_000);
}

/** The words of an error, for a toast. */
export function toastError(error: unknown): void {
  if (error instanceof ApiError)
    toast("bad", error.hint === null ? error.message : `${error.message} ${error.hint}`);
  else toast("bad", "That did not work.");
}

function dismiss(id: number): void {
  change(toasts.filter((each) => each.id !== id));
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <section className="toasts" aria-label="Messages" aria-live="polite">
      {shown.map((each) => (
        <div key={each.id} className={`toast ${each.tone}`} role={each.tone === "bad" ? "alert" : undefined}>
          <Icon name={each.tone === "good" ? "check" : each.tone === "bad" ? "warning" : "info"} size={16} />
          <span>{each.text}</span>
          <IconButton icon="cross" label="Close message" onClick={() => dismiss(each.id)} />
        </div>
      ))}
    </section>
  );
}
