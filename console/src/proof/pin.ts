/**
 * What this browser remembers of a log: its key, as first seen or as given by the person, and the newest checkpoint. A gateway
 * that shows another key, fewer records, or another tree of the same size is found out, though it signs everything itself.
 */
import { isObject } from "./file.ts";

export interface Pin {
  /** The log's first verifier key. */
  readonly key: string;
  /** Seen first in this browser, or given by the person from elsewhere. */
  readonly from: "first sight" | "given";
  /** When, ISO 8601. */
  readonly since: string;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** When the remembered checkpoint was seen, ISO 8601. */
  readonly seen: string;
}

export interface Shown {
  readonly key: string;
  readonly size: number;
  readonly root: string;
}

export type PinVerdict =
  /** Nothing was known before. */
  | { readonly kind: "new" }
  | { readonly kind: "same" }
  | { readonly kind: "other key" }
  /** The log has fewer records than it had. */
  | { readonly kind: "shrunk"; readonly was: number }
  /** As many records, but not the same ones. */
  | { readonly kind: "forked" };

/** Compares what was remembered with what a proven checkpoint says. */
export function comparePin(pin: Pin | null, shown: Shown): PinVerdict {
  if (pin === null) return { kind: "new" };
  if (pin.key !== shown.key) return { kind: "other key" };
  if (shown.size < pin.size) return { kind: "shrunk", was: pin.size };
  if (shown.size === pin.size && shown.root !== pin.root) return { kind: "forked" };
  return { kind: "same" };
}

/** What to remember after a proven checkpoint that does not contradict `pin`; null: nothing new. */
export function nextPin(pin: Pin | null, shown: Shown, now: string): Pin | null {
  const verdict = comparePin(pin, shown);
  if (verdict.kind === "new") return { ...shown, from: "first sight", since: now, seen: now };
  if (verdict.kind !== "same" || pin === null || shown.size === pin.size) return null;
  return { ...pin, size: shown.size, root: shown.root, seen: now };
}

/** The pin after a person has given the key: the checkpoint is kept where the key stays the same. */
export function givenPin(pin: Pin | null, key: string, now: string): Pin {
  const kept = pin?.key === key ? pin : null;
  return {
    key,
    from: "given",
    since: now,
    size: kept?.size ?? 0,
    root: kept?.root ?? "",
    seen: kept?.seen ?? now,
  };
}

const name = (log: string) => `postern.log.${log}`;

/** What is remembered of a log; null: nothing, or storage is forbidden. */
export function loadPin(log: string, storage: Pick<Storage, "getItem">): Pin | null {
  try {
    const found: unknown = JSON.parse(storage.getItem(name(log)) ?? "null");
    if (!isObject(found)) return null;
    const { key, from, since, size, root, seen } = found;
    if (
      typeof key !== "string" ||
      typeof since !== "string" ||
      typeof root !== "string" ||
      typeof seen !== "string"
    )
      return null;
    if (typeof size !== "number" || (from !== "first sight" && from !== "given")) return null;
    return { key, from, since, size, root, seen };
  } catch {
    return null;
  }
}

/** Remembers; false where storage is forbidden or full. */
export function savePin(log: string, pin: Pin, storage: Pick<Storage, "setItem">): boolean {
  try {
    storage.setItem(name(log), JSON.stringify(pin));
    return true;
  } catch {
    return false;
  }
}
