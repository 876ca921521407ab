/** Every page of the console: its address, who may see it, its place in the navigation, and its code (loaded when visited). */
import { type ComponentType, lazy } from "react";
import type { Role } from "../lib/types.ts";
import type { IconName } from "../ui/icons.tsx";

export interface PageProps {
  /** The parts of the address that the pattern names: `/trail/:request` → { request }. */
  readonly params: Readonly<Record<string, string>>;
}

export interface Page {
  /** Pattern of the path; `:name` takes one part. */
  readonly path: string;
  /** One of these is needed; empty: everyone who has a console. admin has all that auditor has. */
  readonly roles: readonly Role[];
  /** Its link in the navigation; null: reached from other pages. `short`: in the phone's bar, which holds four. */
  readonly nav: { readonly label: string; readonly icon: IconName; readonly phone: boolean } | null;
  readonly View: ComponentType<PageProps>;
}

/** In the order of the navigation. */
export const pages: readonly Page[] = [
  {
    path: "/",
    roles: ["auditor"],
    nav: { label: "Overview", icon: "overview", phone: false },
    View: lazy(() => import("../overview/page.tsx")),
  },
  {
    path: "/live",
    roles: [],
    nav: { label: "Live", icon: "live", phone: true },
    View: lazy(() => import("../live/page.tsx")),
  },
  {
    path: "/approvals",
    roles: [],
    nav: { label: "Approvals", icon: "approvals", phone: true },
    View: lazy(() => import("../approvals/page.tsx")),
  },
  { path: "/approvals/:id", roles: [], nav: null, View: lazy(() => import("../approvals/page.tsx")) },
  {
    path: "/trail",
    roles: [],
    nav: { label: "Trail", icon: "trail", phone: true },
    View: lazy(() => import("../trail/page.tsx")),
  },
  { path: "/trail/:request", roles: [], nav: null, View: lazy(() => import("../trail/detail.tsx")) },
  {
    path: "/runs",
    roles: ["auditor"],
    nav: { label: "Runs", icon: "agent", phone: false },
    View: lazy(() => import("../trail/runs.tsx")),
  },
  { path: "/runs/:run", roles: ["auditor"], nav: null, View: lazy(() => import("../trail/run.tsx")) },
  {
    path: "/policy",
    roles: ["auditor", "approver"],
    nav: { label: "Policy", icon: "policy", phone: false },
    View: lazy(() => import("../policy/page.tsx")),
  },
  {
    path: "/connect",
    roles: [],
    nav: { label: "Connect", icon: "connect", phone: true },
    View: lazy(() => import("../connect/page.tsx")),
  },
  {
    path: "/access",
    roles: [],
    nav: { label: "Access", icon: "access", phone: false },
    View: lazy(() => import("../access/page.tsx")),
  },
];

/** Whether a person with these roles may see a page. The gateway checks again on every request. */
export function mayVisit(page: Page, roles: readonly Role[]): boolean {
  if (page.roles.length === 0) return true;
  return page.roles.some((role) => roles.includes(role) || (role === "auditor" && roles.includes("admin")));
}
