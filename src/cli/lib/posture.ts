/** A login as the analysis finds it: what the server tells the gateway, and what the login could do past it. */

import { storedLineage } from "../../analysis/lineage/stored.ts";
import { hasTree, type Probe, probe, probeText } from "../../analysis/probe.ts";
import type { ProtectedSet } from "../../analysis/protected.ts";
import {
  type CatalogQuery,
  type CatalogSnapshot,
  type HardenFinding,
  hardenFindings,
  loadGrants,
  relationText,
} from "../../catalog/index.ts";
import { readableColumns } from "../../gateway/analyst/exposure.ts";
import type { Offline } from "../../gateway/analyst/offline.ts";
import type { DatabaseSettings, LoginSettings } from "../../gateway/settings.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import type { Finding } from "./findings.ts";
import { type LoginPosture, maskedSuffix } from "./harden.ts";

export interface Analysis {
  /** The server says what statements touch; else only the static fallback could. */
  readonly trees: boolean;
  /** As analysis/probe.ts. */
  readonly log: Probe["log"];
  readonly advice: string | null;
}

export interface Posture extends LoginPosture {
  readonly analysis: Analysis;
}

/** Reads the catalog as the login sees it, and asks the server one question. Rejects with OfflineUnavailable and the like. */
export async function readPosture(
  offline: Offline,
  database: DatabaseSettings,
  login: LoginSettings,
  policy: CompiledPolicy,
  readOnly: boolean,
): Promise<Posture> {
  const { view, analyst } = await offline.view(database, login, policy);
  const { catalog, protectedSet } = view;
  const query: CatalogQuery = (sql) => analyst.query(sql);
  const found = await probe(query);
  const asked = found.trees ? await analyst.ask(probeText, [], null) : null;
  // What a view shows is what it reads: hardenFindings() tells of those that read past the login's grants.
  const stored = protectedSet.columns.filter(({ relation }) => !protectedSet.isView(relation));
  const readable = await readableColumns(query, protectedSet, catalog);
  const grants = await loadGrants(query);
  const findings = hardenFindings(catalog, grants, { readOnly, protectedColumns: stored }).filter(
    (finding) => !isMaskingView(finding, catalog, protectedSet),
  );
  return {
    database: database.name,
    login: login.user,
    catalog,
    protectedSet,
    findings,
    readable,
    readOnly,
    analysis: {
      trees: asked?.ok === true && hasTree(asked.trees),
      log: found.log,
      advice: found.advice,
    },
  };
}

/** A view of our own making (harden.ts): it reads a protected table, and nothing protected of it. */
function isMaskingView(
  { code, object }: HardenFinding,
  catalog: CatalogSnapshot,
  protectedSet: ProtectedSet,
): boolean {
  if (code !== "VIEW_BYPASSES_GRANTS") return false;
  for (const view of catalog.relations()) {
    if (view.kind !== "v" || relationText(catalog, view.oid) !== object) continue;
    if (!view.schema.endsWith(maskedSuffix)) return false;
    const lineage = storedLineage(view, catalog);
    return (
      lineage !== null &&
      [...lineage.values()].every((sources) =>
        [...sources].every(
          ({ relation, attribute }) =>
            attribute !== 0 && protectedSet.column(relation, attribute) === undefined,
        ),
      )
    );
  }
  return false;
}

const more = "postern check --harden prints the SQL";

/** Codes that say what the database could enforce as well, and how they are told when there are several. */
const advised: readonly (readonly [HardenFinding["code"], string])[] = [
  ["PROTECTED_READABLE", "may read protected columns unmasked in the database itself"],
  ["VIEW_BYPASSES_GRANTS", "may read protected columns through views with their owner's rights"],
  ["SECURITY_DEFINER", "may run functions with their owner's rights"],
  ["EXTENSION_FUNCTION", "may run functions of extensions that reach past tables and grants"],
  ["TEMPORARY_OBJECTS", "may create temporary tables"],
];

/** The posture as findings beside those of findings.ts. */
export function postureFindings({ findings, protectedSet, analysis, catalog }: Posture): Finding[] {
  const told: Finding[] = [];
  if (!analysis.trees)
    told.push({
      level: "risk",
      code: "NO_ANALYSIS",
      what: "the server does not say what statements touch: only plain SELECTs can be read without it, all else that must be analysed is denied",
      remedy: "connect without a pooler in between, to PostgreSQL 14 or later",
    });
  const owned = protectedSet.columns
    .filter(({ relation }) => catalog.relation(relation)?.privileges.owns === true)
    .map(({ relationName }) => relationName);
  if (owned.length > 0 && !catalog.login.superuser)
    told.push({
      level: "risk",
      code: "OWNS_PROTECTED",
      what: `owns relations with protected columns (${some(owned)}): may lift every grant and row-level security of theirs`,
      remedy: more,
    });
  for (const [code, what] of advised) {
    const objects = findings.filter((finding) => finding.code === code).map(({ object }) => object);
    if (objects.length > 0)
      told.push({ level: "advice", code, what: `${what}: ${some(objects)}`, remedy: more });
  }
  if (analysis.trees && analysis.advice !== null)
    told.push({
      level: "advice",
      code: "LOG_NOISE",
      what: "every analysed statement writes its query tree, constants included, into the server's log",
      remedy: analysis.advice,
    });
  return told;
}

function some(names: readonly string[]): string {
  const each = [...new Set(names)];
  return each.slice(0, 5).join(", ") + (each.length > 5 ? ` and ${each.length - 5} more` : "");
}
