/** postern.yaml as a whole (SPEC.md section 2). docs/config.md and docs/postern.schema.json are made from this. */
import { z } from "zod";
import { isSafeUrl } from "../units.ts";
import { approvals, store } from "./approvals.ts";
import { databases } from "./databases.ts";
import { auditExport, auditIndex } from "./exports.ts";
import { identity } from "./identity.ts";
import { mcp } from "./mcp.ts";
import { address, duration, flag, folder, path, secret, size, tcpAddress, text, whole } from "./scalars.ts";
import { storeKeys, vault } from "./vault.ts";

const addressExpected = "an address such as 127.0.0.1:6432, { address, auth, tls }, or a list of such";

const listener = z
  .strictObject({
    address: address.meta({
      description: "`host:port`, `[IPv6]:port` or `unix:/absolute/path`; port 0 takes a free one.",
    }),
    auth: z
      .array(z.enum(["password", "oauthbearer", "scram", "cert"]))
      .min(1)
      .default(["password"])
      .meta({
        description:
          "How clients show their token. `scram`: SCRAM-SHA-256 for clients whose user is `pgt_ID`, alone or beside another. `oauthbearer` needs PostgreSQL 18's libpq. `cert`: a client certificate, asked for before any token.",
      }),
    tls: z
      .enum(["required", "optional"])
      .optional()
      .meta({ description: "Default: `required`; `optional` on loopback and Unix sockets." }),
  })
  .meta({ title: "a listener with its options" });

export const oneListener = z.union([address, listener], { error: addressExpected });

const publicUrlExpected =
  "an https URL without path, such as https://postern.example.com (http only on loopback)";
export const publicUrl = z.string({ error: publicUrlExpected }).refine(
  (value) => {
    if (!isSafeUrl(value)) return false;
    const { pathname, search, hash } = new URL(value);
    return pathname === "/" && search === "" && hash === "" && !/[?#]$/.test(value);
  },
  { error: publicUrlExpected },
);

export const defaultAddress = "127.0.0.1:6432";

export const listen = z
  .strictObject({
    postgres: z
      .union([oneListener, z.array(oneListener).min(1).max(16)], { error: addressExpected })
      .default(defaultAddress)
      .meta({ description: "Where PostgreSQL clients connect: an address, an object, or a list of either." }),
    http: tcpAddress
      .optional()
      .meta({ description: "Console, REST, MCP, health and metrics. Default: none." }),
    public_url: publicUrl.optional().meta({
      description:
        "Where browsers reach the http listener: `https://postern.example.com`. Default: `http` (or `https` with `tls`) and the listener's own address.",
    }),
  })
  .prefault({})
  .meta({ description: "Addresses. Without `tls` only loopback addresses and Unix sockets are accepted." });
export type ListenerInput = z.output<typeof oneListener>;

export const tls = z
  .strictObject({
    cert: path.meta({ description: "PEM file: certificate, then its chain." }),
    key: path.meta({ description: "PEM file: its private key." }),
    client_ca: path.optional().meta({
      description:
        "PEM file: authorities of client certificates, for `auth: [cert]` and for tokens bound to a certificate.",
    }),
  })
  .meta({ description: "TLS towards clients, for all listeners. Read again on SIGHUP." });

const anchorExpected =
  "{ log: true }, { file: FOLDER }, { webhook: URL, secret: SECRET } or { postgres: SECRET }";
export const anchor = z.union(
  [
    z
      .strictObject({
        log: z.literal(true, { error: "true" }).meta({ description: "The gateway's own log (stdout)." }),
      })
      .meta({ title: "the gateway's own log" }),
    z
      .strictObject({
        file: folder.meta({ description: "A folder, best on another machine's disk; not inside `dir`." }),
      })
      .meta({ title: "a folder" }),
    z
      .strictObject({
        webhook: text("an https URL", 2048).meta({
          description: "Each checkpoint is POSTed there; http only on loopback.",
        }),
        secret: secret.optional().meta({ description: "Keys the `postern-signature` header." }),
      })
      .meta({ title: "an HTTPS endpoint" }),
    z
      .strictObject({
        postgres: secret.meta({
          description: "The URL of a database with a table `postern_anchors` of another role.",
        }),
      })
      .meta({ title: "a PostgreSQL table" }),
  ],
  { error: anchorExpected },
);
export type AnchorInput = z.output<typeof anchor>;

const node = z
  .string({ error: "a name of a-z, 0-9 and -" })
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, { error: "a name of 1 to 63 of a-z, 0-9 and -" });

export const audit = z
  .strictObject({
    dir: folder.default("./data/audit").meta({ description: "Folder of the audit logs." }),
    keys: folder
      .optional()
      .meta({ description: "Folder of the signing and sealing keys. Default: `keys` beside `dir`." }),
    cluster: node.default("postern").meta({ description: "First part of the log's name: all your nodes." }),
    node: node
      .optional()
      .meta({ description: "Second part of the log's name: this node. Default: the host's name." }),
    durability: z.enum(["process", "disk", "strict"]).default("disk").meta({
      description:
        "`process`: with the operating system; `disk`: on disk before anything commits or leaves; `strict`: outcomes too.",
    }),
    anchors: z
      .array(anchor)
      .max(16)
      .default([{ log: true }])
      .meta({ description: "Where checkpoints are kept besides the log (docs/audit.md)." }),
    parameters: z
      .enum(["keep", "digest", "drop"])
      .default("keep")
      .meta({ description: "What is kept of statement parameters (always sealed)." }),
    results: z
      .strictObject({
        digest: flag.default(true).meta({ description: "Record a salted digest of the rows delivered." }),
        capture_rows: z
          .union([whole(0, 1_000_000), z.literal("all")], {
            error: "a whole number from 0 to 1000000, or all",
          })
          .default(0)
          .meta({
            description:
              "Rows kept of each result, sealed, as delivered: a number or `all` (at most 256 MiB a result).",
          }),
      })
      .prefault({}),
    index: auditIndex,
    exports: z
      .array(auditExport)
      .max(16)
      .default([])
      .meta({ description: "Where records are streamed to, each from where it was last acknowledged." }),
    retention: duration(86_400, 86_400 * 36_500)
      .optional()
      .meta({
        description: "Age from which whole segments of the log are pruned, on the record. Default: never.",
      }),
    analysis: z.enum(["always", "lazy"]).default("always").meta({
      description:
        "`always`: every statement, so that the trail says what it touched; `lazy`: only where the policy has labels or speaks of what statements touch or do. Without a policy nothing is analysed: records then have the statement, not what it touched.",
    }),
  })
  .prefault({})
  .meta({ description: "The audit trail." });

const groups = z.array(text("a group, or provider:group", 512)).default([]);
export const admin = z
  .strictObject({
    admins: groups.meta({ description: "Groups that may administer." }),
    auditors: groups.meta({ description: "Groups that may read the audit trail." }),
    approvers: groups.meta({ description: "Groups that may approve. Agents never can." }),
  })
  .prefault({})
  .meta({ description: "Administrative roles by group." });

const mebi = 1024 ** 2;
/** setTimeout takes at most 2^31 - 1 ms. */
const maxSeconds = 2_147_483;
export const limits = z
  .strictObject({
    statement_bytes: size(1024, 1023 * mebi)
      .prefault("4MiB")
      .meta({ description: "Longest SQL text." }),
    message_bytes: size(65_536, 1023 * mebi)
      .prefault("64MiB")
      .meta({ description: "Longest message of a client." }),
    connections: whole(1, 100_000).default(1000).meta({
      description:
        "Client connections at a time. Fewer where the system allows fewer open files: a quarter of those, less 16.",
    }),
    connections_per_principal: whole(1, 100_000)
      .default(50)
      .meta({ description: "Of these, for one principal." }),
    startup_seconds: whole(1, 600).default(10).meta({ description: "From connect to authenticated." }),
    idle_seconds: whole(1, maxSeconds)
      .default(3600)
      .meta({ description: "A session without a statement is ended after this." }),
    session_seconds: whole(60, maxSeconds)
      .optional()
      .meta({ description: "Longest session. Default: as long as its token lives." }),
    warn_seconds: whole(0, 86_400)
      .default(300)
      .meta({ description: "How long before its end a session is told of it by a NOTICE." }),
    finish_seconds: whole(0, maxSeconds)
      .default(900)
      .meta({ description: "How long a statement may run on after its session's time is over." }),
    hold_seconds: whole(1, maxSeconds)
      .default(300)
      .meta({ description: "Longest wait of a held statement." }),
    refusals: z
      .strictObject({
        same: whole(1, 1_000_000).default(100).meta({
          description: "The same statement for the same reason, by one principal.",
        }),
        session: whole(1, 1_000_000).default(1000).meta({ description: "Any, in one session." }),
        principal: whole(1, 1_000_000).default(2000).meta({ description: "Any, by one principal." }),
        pause_seconds: whole(1, 3600).default(30).meta({
          description: "How long nothing of theirs is looked at then (`CIRCUIT_OPEN`).",
        }),
      })
      .prefault({})
      .meta({ description: "Refused statements a minute, before a pause." }),
  })
  .prefault({})
  .meta({ description: "Bounds on what clients may use." });

export const tracing = z
  .strictObject({
    opentelemetry: flag.default(false).meta({
      description:
        "Make a span of every statement, below the agent's own. Needs the package `@opentelemetry/api` and an SDK (agents.md).",
    }),
  })
  .prefault({})
  .meta({ description: "Traces." });

export const protocol = z
  .strictObject({
    function_call: flag
      .default(false)
      .meta({ description: "Let the FunctionCall message (large objects, fast path) pass." }),
  })
  .prefault({})
  .meta({ description: "Rarely needed parts of the protocol." });

export const policy = path.meta({
  description:
    "A policy file, a folder of `*.yaml` (without `*.test.yaml`), or `agent-safe`, which is built in. See policy.md. Default: none; every statement is then forwarded and recorded.",
});

export const root = z.strictObject({
  version: z.literal(1, { error: "1" }).meta({ description: "Version of this file's format." }),
  listen,
  tls: tls.optional(),
  identity,
  databases,
  policy: policy.optional(),
  audit,
  store,
  approvals,
  store_keys: storeKeys.optional(),
  vault: vault.optional(),
  protocol,
  admin,
  mcp,
  tracing,
  limits,
});
