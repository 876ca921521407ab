/** Which administrative roles a principal has (`admin:` of postern.yaml). Pure. */
import type { Principal } from "../facts/principal.ts";
import type { Role } from "./env.ts";

export interface RoleGroups {
  readonly admins: readonly string[];
  readonly auditors: readonly string[];
  readonly approvers: readonly string[];
}

/** Groups are "group" or "provider:group". Agents and services get none, whatever their groups. */
export function rolesOf(principal: Principal, groups: RoleGroups): ReadonlySet<Role> {
  const roles = new Set<Role>();
  if (principal.kind !== "human") return roles;
  const own = new Set([
    ...principal.groups,
    ...principal.groups.map((group) => `${principal.provider}:${group}`),
  ]);
  const within = (wanted: readonly string[]) => wanted.some((group) => own.has(group));
  roles.add("user");
  if (within(groups.approvers)) roles.add("approver");
  if (within(groups.auditors)) roles.add("auditor");
  if (within(groups.admins)) roles.add("admin").add("auditor");
  return roles;
}
