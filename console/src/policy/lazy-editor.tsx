/** The editor, fetched when it is first shown; until then, and where it cannot be fetched, a plain text field that does the same. */
import { lazy, Suspense } from "react";
import type { EditorProps } from "./editor.tsx";

const Editor = lazy(() => import("./editor.tsx").catch(() => ({ default: Plain })));

export function LazyEditor(props: EditorProps) {
  return (
    <Suspense fallback={<Plain {...props} />}>
      <Editor {...props} />
    </Suspense>
  );
}

function Plain({ label, value, placeholder, tall = false, onChange, onRun }: EditorProps) {
  return (
    <textarea
      className={`editor plain mono${tall ? " tall" : ""}`}
      aria-label={label}
      value={value}
      placeholder={placeholder}
      spellCheck={false}
      onChange={(event) => onChange(event.target.value)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onRun?.(event.currentTarget.value);
      }}
    />
  );
}
