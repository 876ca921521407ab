/** `audit:` → where and how the trail is kept. */
import { hostname } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import type { AnchorSettings, AuditSettings } from "../../audit/settings.ts";
import type { Path } from "../problem.ts";
import { type AnchorInput, anchor as anchorSchema, audit as auditSchema } from "../schema/root.ts";
import { secretSource } from "../secrets.ts";
import { isLoopback } from "../units.ts";
import { type Context, isGiven, take, takeItems } from "./context.ts";
import { checkSecret } from "./secret.ts";

export function buildAudit(context: Context): AuditSettings | null {
  const input = take(context, ["audit"], auditSchema);
  if (input === null) return null;
  const dir = resolve(context.folder, input.dir);
  const keys = input.keys === undefined ? join(dirname(dir), "keys") : resolve(context.folder, input.keys);
  // Who copies the trail for an auditor must not hand out its keys with it.
  if (isWithin(keys, dir))
    context.problem(
      ["audit", "keys"],
      "lies inside audit.dir",
      "a folder outside of it, readable by Postern only",
    );
  return {
    dir,
    keys,
    cluster: input.cluster,
    node: input.node ?? nodeName(hostname()),
    durability: input.durability,
    parameters: input.parameters,
    results: { digest: input.results.digest, captureRows: captureRows(input.results.capture_rows) },
    analysis: input.analysis,
    retentionSeconds: input.retention ?? null,
  };
}

function captureRows(given: number | "all"): number {
  return given === "all" ? Number.MAX_SAFE_INTEGER : given;
}

/** `audit.anchors:` → where checkpoints go besides the log; the gateway's own log when nothing is said. */
export function buildAnchors(context: Context, auditDir: string | null): AnchorSettings[] {
  const base: Path = ["audit", "anchors"];
  if (!isGiven(context, base)) return [{ kind: "log" }];
  return takeItems(context, base, anchorSchema).flatMap((input, index) => {
    const built = input === null ? null : buildAnchor(context, input, [...base, index], auditDir);
    return built === null ? [] : [built];
  });
}

function buildAnchor(
  context: Context,
  input: AnchorInput,
  path: Path,
  auditDir: string | null,
): AnchorSettings | null {
  if ("log" in input) return { kind: "log" };
  if ("file" in input) {
    const dir = resolve(context.folder, input.file);
    // Who can change the log there could change its anchor with it.
    if (auditDir !== null && isWithin(dir, auditDir))
      context.problem([...path, "file"], "lies inside audit.dir", "a folder outside of it");
    return { kind: "file", dir };
  }
  if ("webhook" in input) {
    const url = webhookUrl(input.webhook);
    if (url === null)
      context.problem(
        [...path, "webhook"],
        "is not such a URL",
        "an https URL without user and password (http only to loopback)",
      );
    const secret =
      input.secret === undefined ? null : secretSource(input.secret, context.folder, context.env);
    if (secret !== null) checkSecret(context, [...path, "secret"], secret);
    return { kind: "webhook", url: url ?? "", secret };
  }
  const url = secretSource(input.postgres, context.folder, context.env);
  checkSecret(context, [...path, "postgres"], url, (text) => {
    if (!/^postgres(ql)?:\/\//.test(text))
      context.problem([...path, "postgres"], "is not a connection URL", "a secret that is a postgres:// URL");
  });
  return { kind: "postgres", url };
}

/** The URL as fetch() takes it; null: not https (or http to loopback), or with user and password. */
export function webhookUrl(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== "" || url.password !== "") return null;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const safe = url.protocol === "https:" || (url.protocol === "http:" && isLoopback(host));
  return safe ? url.href : null;
}

/** A host's name as part of a log's name: a-z, 0-9 and -, at most 63. */
export function nodeName(host: string): string {
  const name = host
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  return name === "" ? "node" : name;
}

function isWithin(path: string, folder: string): boolean {
  const rest = relative(folder, path);
  return rest === "" || (rest !== ".." && !rest.startsWith(`..${sep}`) && !rest.startsWith(sep));
}
