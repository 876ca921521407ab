/** `databases:` of postern.yaml. */
import { z } from "zod";
import { flag, password, path, secret, text, whole } from "./scalars.ts";

/** NAMEDATALEN - 1: what PostgreSQL keeps of a name. */
const maxName = 63;

const tls = z
  .strictObject({
    mode: z.enum(["disable", "require", "verify-ca", "verify-full"]).optional().meta({
      description: "As libpq's sslmode. Default: `verify-full`; `disable` for loopback and Unix sockets.",
    }),
    ca: path.optional().meta({ description: "PEM file of the authorities to trust. Default: the system's." }),
    cert: path.optional().meta({ description: "PEM file of a client certificate." }),
    key: z
      .union([path, secret], { error: "the path of a PEM file, or a secret" })
      .optional()
      .meta({ description: "Its private key: a PEM file, or a secret." }),
  })
  .meta({ description: "TLS towards the server." });

export const server = z.strictObject({
  host: text("a host name, an address, or the absolute folder of a Unix socket", 255).meta({
    description: "Host name, address, or the absolute folder of a Unix socket.",
  }),
  port: whole(1, 65_535).default(5432),
  dbname: text("the name of a database on that server", maxName)
    .optional()
    .meta({ description: "Database on that server. Default: `name`." }),
  tls: tls.optional(),
});

export const login = z.strictObject({
  groups: z.array(text("a group, or provider:group", 512)).min(1).meta({
    description: "Who uses this login: any of these groups. With several providers write `provider:group`.",
  }),
  user: text("a PostgreSQL role", maxName),
  hardened: z.enum(["no", "secrets", "all"], { error: "no, secrets or all" }).default("no").meta({
    description:
      "`all`: nothing runs under this login while the database itself would let it read a protected column; `secrets`: one with `access: none`. Looked at when it connects and whenever the catalog changes; `postern check --harden` prints the SQL.",
  }),
  password: password.optional().meta({ description: "Default: none (trust, peer or client certificate)." }),
});

export const pool = z
  .strictObject({
    max: whole(1, 10_000).default(50),
    min_idle: whole(0, 10_000).default(0),
    reset: z.enum(["discard_all", "close"]).default("discard_all"),
  })
  .prefault({})
  .meta({ description: "Upstream connections kept for reuse." });

export const databaseName = text("the name that clients ask for", maxName).meta({
  description: "The database name that clients ask for.",
});

export const replication = flag
  .default(false)
  .meta({ description: "true: replication connections pass as an opaque, recorded tunnel." });

const functionExpected = "schema.function, as pg_proc has the names: unquoted, without arguments";

export const functions = z
  .array(text(functionExpected, 2 * maxName + 1).regex(/^[^.]+\..+$/, { error: functionExpected }))
  .max(10_000)
  .default([])
  .meta({
    description:
      "Functions of your own that only compute a value, as `schema.function`: you vouch for all of that name. Statements that call them count as `read`.",
  });

export const readBodies = flag.default(true).meta({
  description:
    "true: a function in SQL or PL/pgSQL counts as harmless where its body shows that it only computes a value from its arguments. false: only those in `functions` do.",
});

const database = z.strictObject({
  name: databaseName,
  server: server.meta({ description: "Where it is. Clients never learn this." }),
  replication,
  functions,
  read_bodies: readBodies,
  logins: z
    .array(login)
    .min(1)
    .meta({ description: "First login with a group of the principal is used; none: refused." }),
  pool,
});
export type ServerInput = z.output<typeof server>;

export const databases = z
  .array(database)
  .min(1)
  .max(1000)
  .meta({ description: "The databases behind Postern." });
