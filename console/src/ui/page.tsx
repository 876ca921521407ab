/** A page's frame: its heading (focused after navigation), actions, content. */
import { type ReactNode, useEffect } from "react";
import { useTitle } from "../lib/title.ts";

interface PageFrameProps {
  readonly title: string;
  /** One line below the heading. */
  readonly lead?: ReactNode;
  readonly actions?: ReactNode;
  /** true: the page takes exactly the window's height and its parts scroll. */
  readonly fixed?: boolean;
  readonly children: ReactNode;
}

export function PageFrame({ title, lead, actions, fixed = false, children }: PageFrameProps) {
  useTitle(title);
  useEffect(() => {
    // The new page is announced: its heading takes the focus unless something in it already did, or a person was quicker
    // than a slow page and has opened the account's panel, which would close.
    const taken = document.activeElement?.closest('main, .account-panel, [aria-expanded="true"]') ?? null;
    if (taken === null) document.getElementById("page-title")?.focus({ preventScroll: true });
  }, []);
  return (
    <div className={`page${fixed ? " fixed" : ""}`}>
      <header className="page-head">
        <div className="page-heading">
          <h1 id="page-title" tabIndex={-1}>
            {title}
          </h1>
          {lead === undefined ? null : <div className="page-lead">{lead}</div>}
        </div>
        {actions === undefined ? null : <div className="page-actions">{actions}</div>}
      </header>
      {children}
    </div>
  );
}
