/** Desktop notifications: only when the person allowed them, and only while the page is not in front of them. */
import { useSyncExternalStore } from "react";
import { navigate } from "./router.tsx";
import { clip, visible } from "./text.ts";

const listeners = new Set<() => void>();

export function useNotifications(): NotificationPermission | "unsupported" {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => (typeof Notification === "undefined" ? "unsupported" : Notification.permission),
  );
}

export function askForNotifications(): void {
  void Notification.requestPermission().then(() => {
    for (const listener of listeners) listener();
  });
}

/** Shows a notification that leads to `path`. `tag`: a later one with the same tag takes its place (also between tabs). */
export function notify(title: string, body: string, path: string, tag: string): void {
  if (typeof Notification === "undefined" || Notification.permission !== "granted" || document.hasFocus())
    return;
  try {
    const note = new Notification(clip(visible(title), 100), { body: clip(visible(body), 240), tag });
    note.onclick = () => {
      window.focus();
      navigate(path);
      note.close();
    };
  } catch {
    // Some phones know the permission but not the constructor.
  }
}
