/** `audit.exports` → where the log is streamed to; `audit.index` → what its search index holds. */
import type { ExportSettings } from "../../audit/export/settings.ts";
import type { Path } from "../problem.ts";
import { type AuditExportInput, auditExport, auditIndex } from "../schema/exports.ts";
import { secretSource } from "../secrets.ts";
import { isLoopback } from "../units.ts";
import { type Context, readNamed, take, takeItems } from "./context.ts";
import { checkCertificates } from "./pem.ts";
import { checkSecret } from "./secret.ts";

export interface IndexSettings {
  /** Known values are indexed, keyed. */
  readonly values: boolean;
}

export function buildIndex(context: Context): IndexSettings {
  return { values: take(context, ["audit", "index"], auditIndex)?.values !== "none" };
}

export async function buildExports(context: Context): Promise<ExportSettings[]> {
  const base: Path = ["audit", "exports"];
  const built: ExportSettings[] = [];
  const names = new Set<string>();
  for (const [index, input] of takeItems(context, base, auditExport).entries()) {
    if (input === null) continue;
    if (names.has(input.name))
      context.problem([...base, index, "name"], "is the name of another export", "a name of its own");
    names.add(input.name);
    built.push(await buildExport(context, input, [...base, index]));
  }
  return built;
}

async function buildExport(context: Context, input: AuditExportInput, path: Path): Promise<ExportSettings> {
  const ca =
    input.ca === undefined ? null : await readNamed(context, [...path, "ca"], input.ca, "a PEM file");
  if (ca !== null && ca !== "") checkCertificates(context, [...path, "ca"], ca);
  const common = { name: input.name, ca, start: input.start };
  if ("syslog" in input) {
    const url = syslogUrl(input.syslog);
    if (url === null)
      context.problem(
        [...path, "syslog"],
        "is not such an address",
        "tls://HOST:PORT, tcp://HOST:PORT or udp://HOST:PORT",
      );
    return { ...common, kind: "syslog", url: url ?? "", format: input.format, authorization: null };
  }
  const authorization =
    input.authorization === undefined ? null : secretSource(input.authorization, context.folder, context.env);
  if (authorization !== null)
    checkSecret(context, [...path, "authorization"], authorization, (value) => {
      if (/[^\t\x20-\x7e]/.test(value) || value === "")
        context.problem(
          [...path, "authorization"],
          "holds what no header can",
          "printable ASCII without line ends",
        );
    });
  const [key, text] =
    "webhook" in input ? (["webhook", input.webhook] as const) : (["otlp", input.otlp] as const);
  const url = httpUrl(text);
  if (url === null)
    context.problem(
      [...path, key],
      "is not such a URL",
      "an https URL without user and password (http only to loopback)",
    );
  return {
    ...common,
    kind: key,
    url: url ?? "",
    format: "webhook" in input ? input.format : "otlp",
    authorization,
  };
}

function httpUrl(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || url.username !== "" || url.password !== "") return null;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const safe = url.protocol === "https:" || (url.protocol === "http:" && isLoopback(host));
  return safe ? url.href : null;
}

function syslogUrl(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !["tls:", "tcp:", "udp:"].includes(url.protocol) || url.hostname === "") return null;
  const bare = url.pathname === "" || url.pathname === "/";
  return bare && url.username === "" && url.search === "" && url.hash === "" ? text : null;
}
