/** Copies an exact text. */
import { useEffect, useState } from "react";
import { Icon } from "./icons.tsx";

interface CopyProps {
  /** Exactly what is put on the clipboard. */
  readonly text: string;
  /** What is copied, for the button's label: "SQL", "token". */
  readonly what: string;
  /** true: the word stands beside the icon. */
  readonly worded?: boolean;
}

export function CopyButton({ text, what, worded = false }: CopyProps) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 2_000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () => {
    if (navigator.clipboard === undefined) setState("failed");
    else
      navigator.clipboard.writeText(text).then(
        () => setState("copied"),
        () => setState("failed"),
      );
  };
  const told =
    state === "copied" ? "Copied" : state === "failed" ? "Select and copy by hand" : `Copy ${what}`;
  return (
    <button
      type="button"
      className={worded ? "button quiet copy" : `icon-button copy ${state}`}
      aria-label={worded ? undefined : told}
      title={told}
      onClick={copy}
    >
      <Icon name={state === "copied" ? "check" : "copy"} size={16} />
      {worded ? <span>{state === "idle" ? `Copy ${what}` : told}</span> : null}
      <span className="visually-hidden" aria-live="polite">
        {state === "idle" ? "" : told}
      </span>
    </button>
  );
}
