/** Keyboard shortcuts: single keys that do nothing while the person types or a dialog is open. */
import { useEffect, useEffectEvent } from "react";

function typing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** `bindings`: from KeyboardEvent.key to what is done. Keys with Ctrl, Alt or Meta stay the browser's. */
export function useKeys(bindings: Readonly<Record<string, () => void>>, enabled = true): void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target) || document.querySelector("dialog[open]") !== null) return;
    // Enter on a focused link or button is that link's.
    if (
      event.key === "Enter" &&
      event.target instanceof HTMLElement &&
      event.target.closest("a,button,summary")
    )
      return;
    const action = bindings[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
  useEffect(() => {
    if (!enabled) return;
    const listen = (event: KeyboardEvent) => press(event);
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [enabled]);
}
