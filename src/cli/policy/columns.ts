/** `postern policy columns`: which columns of the databases a policy protects, and why. */
import type { ProtectedColumn } from "../../analysis/protected.ts";
import { type CatalogSnapshot, relationText } from "../../catalog/index.ts";
import type { Mask } from "../../facts/effects.ts";
import type { View } from "../../gateway/analyst/index.ts";
import type { DatabaseSettings } from "../../gateway/settings.ts";
import type { CompiledPolicy } from "../../policy/index.ts";
import { readArgs, UsageError } from "../lib/args.ts";
import { type IdlePattern, idlePatterns } from "../lib/labels.ts";
import { formatTable, printable } from "../lib/table.ts";
import { openOffline } from "./open.ts";
import { findPolicy, placeOptions, reporting } from "./place.ts";

const usage = `Usage: postern policy columns [-c postern.yaml] [-d NAME] [-p POLICY] [--json]

Lists the columns that the policy's labels protect in each database: those that a label names, and those that hold the same values
elsewhere (partitions and parents, generated columns, views, materialized views). Reads the databases' catalogs only.

  -c, --config FILE    the gateway's configuration (default: postern.yaml)
  -d, --database NAME  this database only
  -p, --policy PATH    another policy than the configuration's
      --json

A pattern that matches no column of any database it is for is told as a warning.
Exit code 0: done. 2: a mistake in what was given. 3: a database cannot be reached.
`;

interface Listing {
  readonly database: string;
  readonly columns: readonly ProtectedColumn[];
  /** System relations that are closed as long as anything is protected. */
  readonly refused: readonly { readonly relation: string; readonly reason: string }[];
  readonly observed: ReadonlySet<string>;
  readonly catalog: CatalogSnapshot;
}

export async function columns(args: string[]): Promise<number> {
  const options = { ...placeOptions, database: { type: "string", short: "d" } } as const;
  const parsed = readArgs(args, usage, options);
  if (parsed === null) return 0;
  const { json, config = "postern.yaml", policy: path, database } = parsed.values;
  return reporting(json, async () => {
    const place = await findPolicy({ path, config }, usage);
    const all = place.settings?.gateway.databases ?? [];
    const chosen = all.filter(({ name }) => database === undefined || name === database);
    if (chosen.length === 0)
      throw new UsageError(`${config} has no database ${JSON.stringify(database)}`, usage);
    const offline = openOffline(chosen);
    try {
      const listings: Listing[] = [];
      for (const one of chosen) {
        const [login] = one.logins;
        if (login === undefined) continue;
        listings.push(listingOf(one, (await offline.view(one, login, place.policy)).view));
      }
      const idle = idlePatterns(
        place.policy,
        all.map(({ name }) => ({
          database: name,
          catalog: listings.find((listing) => listing.database === name)?.catalog ?? null,
        })),
      );
      if (json === true) process.stdout.write(asJson(place.policy, listings, idle));
      else {
        process.stdout.write(listings.map(asText).join("\n"));
        for (const { label, pattern, what } of idle)
          process.stderr.write(`warning: label ${printable(`${label}: ${pattern} ${what}`)}\n`);
      }
      return 0;
    } finally {
      await offline.close();
    }
  });
}

function listingOf({ name }: DatabaseSettings, view: View): Listing {
  const { protectedSet, observedSet, catalog } = view;
  return {
    database: name,
    columns: [...protectedSet.columns, ...observedSet.columns].sort((a, b) => (a.name < b.name ? -1 : 1)),
    refused: protectedSet.refused.map(({ relation, reason }) => ({
      relation: relationText(catalog, relation),
      reason,
    })),
    observed: new Set(observedSet.columns.flatMap((column) => column.labels.map(({ label }) => label))),
    catalog,
  };
}

function asJson(policy: CompiledPolicy, listings: readonly Listing[], idle: readonly IdlePattern[]): string {
  const databases = listings.map(({ database, columns: found, refused, observed }) => ({
    database,
    columns: found.map(({ name, labels, why }) => ({
      column: name,
      labels: labels.map(({ label, mask, access, use }) => ({
        label,
        access,
        mask: access === "none" ? null : mask,
        use: access === "none" ? null : use,
        observe: observed.has(label),
      })),
      why,
    })),
    refused,
  }));
  return `${JSON.stringify({ policy: policy.digest, databases, idle }, null, 2)}\n`;
}

function asText({ database, columns: found, refused, observed }: Listing): string {
  const rows = found.map(({ name, labels, why }) => [
    name,
    labels.map(({ label }) => label).join(", "),
    [...new Set(labels.map((label) => shown(label, observed)))].join(", "),
    [...new Set(labels.map(({ access, use }) => (access === "none" ? "" : use)))].join(", "),
    why.join("; "),
  ]);
  let text = `${printable(database)}: ${found.length} protected ${found.length === 1 ? "column" : "columns"}\n`;
  if (rows.length > 0) text += formatTable(["COLUMN", "LABEL", "SHOWN", "USE", "WHY"], rows);
  if (refused.length === 0) return text;
  text += "\nClosed while columns are protected:\n";
  const toast = refused.filter(({ relation }) => relation.startsWith("pg_toast."));
  const others = refused.filter((entry) => !toast.includes(entry));
  for (const [reason, entries] of Map.groupBy(others, (entry) => entry.reason))
    text += printableLine(`  ${entries.map(({ relation }) => relation).join(", ")}: ${reason}`);
  if (toast.length > 0) text += printableLine(`  pg_toast.*: ${toast[0]?.reason ?? ""}`);
  return text;
}

function printableLine(text: string): string {
  return `${printable(text)}\n`;
}

function shown(
  { label, access, mask }: { label: string; access: string; mask: Mask },
  observed: ReadonlySet<string>,
): string {
  if (observed.has(label)) return "as it is (observed)";
  return access === "none" ? "never read" : mask.kind;
}
