/** The phone's last button: the pages that have no place in the bar. */
import { useState } from "react";
import { Dialog } from "../ui/dialog.tsx";
import { Icon } from "../ui/icons.tsx";
import { isHere, NavLink } from "./layout.tsx";
import type { Page } from "./pages.tsx";

export function More({ shown, path }: { readonly shown: readonly Page[]; readonly path: string }) {
  const [open, setOpen] = useState<string | null>(null);
  const inBar = shown.filter((page) => page.nav?.phone === true).slice(0, 4);
  const rest = shown.filter((page) => !inBar.includes(page));
  if (rest.length === 0) return null;
  const here = rest.some((page) => isHere(page.path, path));
  // Choosing a page closes the sheet: it belongs to the page that it was opened on.
  const shownNow = open === path;
  return (
    <>
      <button
        type="button"
        className={`nav-link${here ? " here" : ""}`}
        aria-haspopup="dialog"
        aria-expanded={shownNow}
        onClick={() => setOpen(path)}
      >
        <Icon name="more" size={20} />
        <span>More</span>
      </button>
      {shownNow ? (
        <Dialog title="More pages" onClose={() => setOpen(null)}>
          <nav className="more-pages" aria-label="More pages">
            {rest.map((page) => (
              <NavLink key={page.path} page={page} path={path} waiting={0} />
            ))}
          </nav>
        </Dialog>
      ) : null}
    </>
  );
}
