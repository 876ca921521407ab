/** Who is signed in. */
import { useQuery } from "@tanstack/react-query";
import { createContext, use } from "react";
import { api, setCsrf } from "../lib/api.ts";
import type { Me, Role } from "../lib/types.ts";

export const MeContext = createContext<Me | null>(null);

async function load({ signal }: { readonly signal: AbortSignal }): Promise<Me> {
  const me = await api<Me>("/api/me", { signal });
  setCsrf(me.csrf);
  return me;
}

/** GET /api/me, fetched once and kept fresh; also takes over the CSRF token. */
export function useMeQuery() {
  return useQuery({ queryKey: ["me"], queryFn: load, staleTime: 60_000 });
}

/** The signed-in person. Only below the layout. */
export function useMe(): Me {
  const me = use(MeContext);
  if (me === null) throw new Error("nobody is signed in here");
  return me;
}

/** Whether the person has a role; admin has all that auditor has. */
export function useHasRole(role: Role): boolean {
  const { roles } = useMe();
  return roles.includes(role) || (role === "auditor" && roles.includes("admin"));
}
