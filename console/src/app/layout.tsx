/** The frame around every page: navigation (a side bar, on phones a bar at the bottom), connection, account. */
import { type ReactNode, useEffect, useState } from "react";
import { usePendingCount } from "../approvals/pending.ts";
import { startEvents, useStreamState } from "../lib/events.ts";
import { useKeys } from "../lib/keys.ts";
import { Link, usePath } from "../lib/router.tsx";
import { Icon } from "../ui/icons.tsx";
import { Account } from "./account.tsx";
import { Help } from "./help.tsx";
import { Logo } from "./logo.tsx";
import { useMe } from "./me.ts";
import { More } from "./more.tsx";
import { mayVisit, type Page, pages } from "./pages.tsx";

export function Layout({ path, children }: { readonly path: string; readonly children: ReactNode }) {
  const me = useMe();
  const [help, setHelp] = useState(false);
  useEffect(() => startEvents(), []);
  useKeys({ "?": () => setHelp(true) });
  const shown = pages.filter((page) => page.nav !== null && mayVisit(page, me.roles));
  const waiting = usePendingCount();
  return (
    <div className="frame">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="top">
        <Link to="/" className="brand" aria-label="Postern, start page">
          <Logo />
          <span>Postern</span>
        </Link>
        <nav className="side-nav" aria-label="Pages">
          <ul>
            {shown.map((page) => (
              <li key={page.path}>
                <NavLink page={page} path={path} waiting={waiting} />
              </li>
            ))}
          </ul>
        </nav>
        <div className="top-end">
          <Connection />
          <Account onHelp={() => setHelp(true)} />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <nav className="phone-nav" aria-label="Pages">
        {shown
          .filter((page) => page.nav?.phone === true)
          .slice(0, 4)
          .map((page) => (
            <NavLink key={page.path} page={page} path={path} waiting={waiting} />
          ))}
        <More shown={shown} path={path} />
      </nav>
      {help ? <Help onClose={() => setHelp(false)} /> : null}
    </div>
  );
}

interface NavLinkProps {
  readonly page: Page;
  readonly path: string;
  readonly waiting: number;
}

export function NavLink({ page, path, waiting }: NavLinkProps) {
  if (page.nav === null) return null;
  const here = isHere(page.path, path);
  const badge = page.path === "/approvals" && waiting > 0 ? waiting : null;
  return (
    <Link to={page.path} className="nav-link" aria-current={here ? "page" : undefined}>
      <Icon name={page.nav.icon} size={20} />
      <span>{page.nav.label}</span>
      {badge === null ? null : (
        <span className="nav-badge">
          {badge > 99 ? "99+" : badge}
          <span className="visually-hidden"> waiting</span>
        </span>
      )}
    </Link>
  );
}

/** `/trail` is here on `/trail/…` too; `/` only on itself. */
export function isHere(page: string, path: string): boolean {
  return path === page || (page !== "/" && path.startsWith(`${page}/`));
}

function Connection() {
  const state = useStreamState();
  usePath();
  const [word, explain] = {
    open: ["Connected", "Events arrive as they happen"],
    connecting: ["Connecting", "Waiting for the gateway's events"],
    waiting: ["Offline", "The connection to the gateway was lost; trying again"],
    refused: ["Not live", "The gateway sends you no events"],
  }[state];
  return (
    <span className={`connection ${state}`} role="status" title={explain}>
      <span className="dot" aria-hidden="true" />
      <span className="connection-word">{word}</span>
    </span>
  );
}
