/** `audit.exports` and `audit.index` of postern.yaml. */
import { z } from "zod";
import { path, secret, text } from "./scalars.ts";

const name = z
  .string({ error: "a name of a-z, 0-9 and -" })
  .regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, { error: "a name of 1 to 40 of a-z, 0-9 and -" })
  .meta({ description: "Names the export in metrics, and the file that keeps how far it was acknowledged." });
const start = z.enum(["beginning", "now"]).default("beginning").meta({
  description: "Where a new export begins: with the oldest record, or with what comes from now on.",
});
const ca = path
  .optional()
  .meta({ description: "PEM file of the authorities to trust. Default: the system's." });
const authorization = secret
  .optional()
  .meta({ description: "The whole value of the Authorization header, such as `Bearer …`." });

const webhook = z
  .strictObject({
    name,
    webhook: text("an https URL", 2048).meta({
      description: "Records are POSTed there, one a line; http only on loopback.",
    }),
    format: z
      .enum(["jsonl", "ocsf", "ecs", "cef"])
      .default("jsonl")
      .meta({ description: "See docs/audit-exports.md." }),
    authorization,
    ca,
    start,
  })
  .meta({ title: "an HTTPS endpoint" });
const otlp = z
  .strictObject({
    name,
    otlp: text("an https URL", 2048).meta({
      description: "OTLP over HTTP in JSON, such as `https://collector:4318/v1/logs`; http only on loopback.",
    }),
    authorization,
    ca,
    start,
  })
  .meta({ title: "an OpenTelemetry collector" });
const syslog = z
  .strictObject({
    name,
    syslog: text("tls://HOST:PORT, tcp://HOST:PORT or udp://HOST:PORT", 300).meta({
      description: "RFC 5424 over TLS (`tls://host:6514`), TCP or UDP. Syslog acknowledges nothing.",
    }),
    format: z
      .enum(["jsonl", "ocsf", "ecs", "cef"])
      .default("cef")
      .meta({ description: "What a message holds." }),
    ca,
    start,
  })
  .meta({ title: "a syslog receiver" });

export const auditExport = z.union([webhook, otlp, syslog], {
  error:
    "{ name: NAME, webhook: URL, format: FORMAT }, { name: NAME, otlp: URL } or { name: NAME, syslog: tls://HOST:PORT, format: FORMAT }",
});
export type AuditExportInput = z.output<typeof auditExport>;

export const auditIndex = z
  .strictObject({
    values: z.enum(["keyed", "none"]).default("keyed").meta({
      description:
        "`keyed`: `audit search --value` finds statements by a known parameter or literal, through keyed digests; `none`: the index has none.",
    }),
  })
  .prefault({})
  .meta({ description: "The search index beside the log. It never holds sealed text." });
