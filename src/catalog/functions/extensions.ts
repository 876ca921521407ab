/**
 * Extensions whose C functions are known to compute from their arguments alone. Only a superuser can make C functions, so
 * that membership of an extension cannot be forged by the people whom the gateway guards against. SQL and PL/pgSQL functions
 * of extensions are read like any others; functions of extensions that are not listed are refused unless the operator trusts
 * them by name.
 */
interface Extension {
  /** VOLATILE functions that are harmless too. */
  readonly volatile?: readonly string[];
  /** STABLE ones read tables; only IMMUTABLE ones count. */
  readonly readsTables?: true;
  /** Never, whatever their volatility: they run SQL or read tables that only their arguments name, or change settings. */
  readonly except?: RegExp;
}

const known: Readonly<Record<string, Extension>> = {
  btree_gin: {},
  btree_gist: {},
  citext: {},
  cube: {},
  dict_int: {},
  earthdistance: {},
  fuzzystrmatch: {},
  hstore: {},
  intagg: {},
  intarray: {},
  ip4r: {},
  isn: { except: /^isn_weak$/ },
  ltree: {},
  pg_trgm: { except: /^set_limit$/ },
  pgcrypto: {
    volatile: [
      "gen_salt",
      "gen_random_bytes",
      "gen_random_uuid",
      "pgp_sym_encrypt",
      "pgp_sym_encrypt_bytea",
      "pgp_pub_encrypt",
      "pgp_pub_encrypt_bytea",
    ],
  },
  postgis: { readsTables: true },
  seg: {},
  tablefunc: { volatile: ["normal_rand"], except: /^(crosstab|connectby)/ },
  unaccent: {},
  "uuid-ossp": { volatile: ["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"] },
  vector: {},
  xml2: { except: /^(xpath_table|xslt_process)$/ },
};

/** A C function of this extension that only computes from its arguments. */
export function isHarmlessInExtension(extension: string, name: string, volatility: "i" | "s" | "v"): boolean {
  const entry = Object.hasOwn(known, extension) ? known[extension] : undefined;
  if (entry === undefined || entry.except?.test(name) === true) return false;
  if (volatility === "i") return true;
  if (volatility === "s") return entry.readsTables !== true;
  return entry.volatile?.includes(name) === true;
}
