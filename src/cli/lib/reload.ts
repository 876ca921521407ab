/** Which settings changed, and which of them can change while the gateway runs. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { Settings } from "../../config/index.ts";
import type { TlsSettings } from "../../gateway/settings.ts";
import type { ProviderSettings } from "../../identity/settings.ts";

export interface Changes {
  /** To be taken over; null: as before. */
  readonly tls: TlsSettings | null;
  readonly providers: readonly ProviderSettings[] | null;
  /** Names of providers that are gone: these go at once, whatever else has to wait. */
  readonly removed: readonly string[];
  /** Top-level keys of postern.yaml. */
  readonly applied: readonly string[];
  readonly waiting: readonly string[];
}

/** Compares the settings in force with new ones. */
export function compareSettings(current: Settings, next: Settings): Changes {
  const applied: string[] = [];
  const waiting: string[] = [];
  const changed = (pick: (settings: Settings) => unknown) =>
    !isDeepStrictEqual(plain(pick(current)), plain(pick(next)));
  for (const [key, pick] of restartKeys) if (changed(pick)) waiting.push(key);

  let tls: TlsSettings | null = null;
  if (changed((s) => s.gateway.tls)) {
    const { tls: before } = current.gateway;
    // With or without TLS is decided when a listener starts; only the certificate can be exchanged.
    // Whether certificates are asked for, too.
    const asks = (settings: TlsSettings) => settings.clientCa !== null;
    if (before !== null && next.gateway.tls !== null && asks(before) === asks(next.gateway.tls))
      tls = next.gateway.tls;
    (tls === null ? waiting : applied).push("tls");
  }

  let providers: readonly ProviderSettings[] | null = null;
  const staying = new Set(next.providers.map(({ name }) => name));
  // Whom the owner does not trust any more is out at once; that takes from everybody and gives to nobody.
  const removed = current.providers.map(({ name }) => name).filter((name) => !staying.has(name));
  if (changed((s) => s.providers)) {
    const known = new Set(current.providers.map(({ name }) => name));
    // Logins were checked against the old providers: a bare group that only one provider could grant must not come to be
    // granted by a second one.
    if (!waiting.includes("databases") && next.providers.every(({ name }) => known.has(name)))
      providers = next.providers;
    else if (removed.length > 0) providers = current.providers.filter(({ name }) => !removed.includes(name));
    if (removed.length > 0) applied.push("identity.providers");
    (providers === next.providers ? applied : waiting).push("identity");
  }
  return { tls, providers, removed, applied, waiting };
}

const restartKeys: readonly (readonly [string, (settings: Settings) => unknown])[] = [
  ["listen", (s) => [s.gateway.listeners, s.http, s.publicUrl]],
  ["databases", (s) => s.gateway.databases],
  ["audit", (s) => [s.audit, s.anchors, s.exports, s.index]],
  ["store", (s) => s.store],
  ["approvals", (s) => s.approvals],
  ["protocol", (s) => s.gateway.protocol],
  ["admin", (s) => s.admin],
  ["mcp", (s) => s.mcp],
  ["tracing", (s) => s.tracing],
  ["limits", (s) => s.gateway.limits],
  ["identity.lockout", (s) => s.identity],
  // A policy can be exchanged for another one; whether there is one is decided at the start.
  ["policy", (s) => s.policy !== null],
];

/** Secret sources hold functions: what they are called is what can change. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null));
}
