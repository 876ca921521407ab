import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLoopback, plainAddress } from "../../src/gateway/client/address.ts";
import { allowedSettings, readParameters, type StartupFacts } from "../../src/gateway/client/parameters.ts";
import { Refusal } from "../../src/gateway/client/refusal.ts";
import { clean } from "../../src/gateway/client/text.ts";
import { ProtocolError } from "../../src/protocol/index.ts";

function read(parameters: Record<string, string>): StartupFacts {
  return readParameters(new Map(Object.entries({ user: "u", ...parameters })));
}

function refused(parameters: Record<string, string>): Refusal {
  try {
    read(parameters);
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error("was accepted");
}

describe("startup parameters of real clients", () => {
  it.each<[string, Record<string, string>, Record<string, string>]>([
    ["psql", { application_name: "psql", client_encoding: "UTF8" }, { client_encoding: "UTF8" }],
    [
      "pg_regress",
      {
        application_name: "pg_regress/boolean",
        datestyle: "Postgres, MDY",
        timezone: "America/Los_Angeles",
        options: "-c intervalstyle=postgres_verbose",
      },
      { intervalstyle: "postgres_verbose", datestyle: "Postgres, MDY", timezone: "America/Los_Angeles" },
    ],
    [
      "pgjdbc",
      {
        client_encoding: "UTF8",
        DateStyle: "ISO",
        TimeZone: "Europe/Berlin",
        extra_float_digits: "2",
        search_path: "a,b",
      },
      {
        client_encoding: "UTF8",
        datestyle: "ISO",
        timezone: "Europe/Berlin",
        extra_float_digits: "2",
        search_path: "a,b",
      },
    ],
    ["asyncpg", { client_encoding: "'utf-8'" }, { client_encoding: "UTF8" }],
    [
      "lib/pq and sqlx",
      { client_encoding: "UTF8", datestyle: "ISO, MDY", extra_float_digits: "2", TimeZone: "UTC" },
      { client_encoding: "UTF8", datestyle: "ISO, MDY", extra_float_digits: "2", timezone: "UTC" },
    ],
    ["libpq with PGGEQO", { geqo: "off" }, { geqo: "off" }],
    [
      "an ORM",
      { options: "-c statement_timeout=5s --lock-timeout=1s" },
      { statement_timeout: "5s", lock_timeout: "1s" },
    ],
  ])("%s", (_, sent, settings) => {
    expect(Object.fromEntries(read(sent).settings)).toEqual(settings);
  });
});

describe("the allow-list", () => {
  it.each([
    "role",
    "session_authorization",
    "is_superuser",
    "session_preload_libraries",
    "local_preload_libraries",
    "log_statement",
    "log_min_messages",
    "standard_conforming_strings",
    "backslash_quote",
    "work_mem",
    "row_security",
    "session_replication_role",
    "postern.subject",
    "postern.groups",
    "postern.kind",
    "postern.anything",
    "User",
    "DATABASE",
    "Options",
    "nonsense",
    "",
  ])("refuses %j as a parameter, in options, and in any case", (name) => {
    for (const sent of [name, name.toUpperCase()]) {
      if (sent === "user" || sent === "options") continue;
      const refusal = refused({ [sent]: "x" });
      expect(refusal.code).toBe("PARAMETER_REFUSED");
      expect(refusal.answer?.sqlstate).toBe("0A000");
      expect(refusal.answer?.message).toContain(sent);
    }
    if (name !== "") {
      expect(refused({ options: `-c ${name}=x` }).code).toBe("PARAMETER_REFUSED");
      expect(refused({ options: `--${name.replaceAll("_", "-")}=x` }).code).toBe("PARAMETER_REFUSED");
      expect(refused({ options: `-c geqo=on -c${name}=x` }).code).toBe("PARAMETER_REFUSED");
    }
  });

  it("lets nothing else through, whatever it is called", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (name, value) => {
        const known =
          allowedSettings.has(name.toLowerCase()) || /^(user|database|options|replication|_pq_\.)/.test(name);
        if (known || /^(application_name|postern\.(agent|model|run|intent|traceparent|unmask))$/i.test(name))
          return;
        expect(refused({ [name]: value }).code).toBe("PARAMETER_REFUSED");
      }),
    );
  });

  it("never quotes control characters back", () => {
    const refusal = refused({ "a\x1b]0;x\x07\u202e": "v" });
    expect(refusal.answer?.message).toBe('startup parameter "a?]0;x??" is not allowed here');
    expect(refusal.cause).not.toContain("\x1b");
  });

  it("gives every setting a reason", () => {
    for (const setting of allowedSettings.values()) expect(setting.reason.length).toBeGreaterThan(20);
  });

  it("takes UTF-8 and no other encoding", () => {
    for (const name of ["UTF8", "utf8", "UTF-8", "'utf-8'", "unicode", "Utf_8", "SQL_ASCII"])
      expect(read({ CLIENT_ENCODING: name }).settings.get("client_encoding")).toBe("UTF8");
    for (const name of ["SJIS", "BIG5", "GBK", "GB18030", "LATIN1", "WIN1252", "UTF16", "", "auto"])
      expect(refused({ client_encoding: name }).answer?.sqlstate).toBe("22023");
  });

  it("takes no message level that tells of the server", () => {
    expect(read({ client_min_messages: "WARNING" }).settings.get("client_min_messages")).toBe("warning");
    for (const level of ["log", "debug", "debug5", "info", "", "noticex"])
      expect(refused({ options: `-c client_min_messages=${level}` }).code).toBe("PARAMETER_REFUSED");
  });

  it("applies options first and the packet's own parameters over them, the last of a name winning", () => {
    const facts = read({
      options: "-c geqo=1 -c DateStyle=SQL --geqo=2 -c postern.agent=from-options -c application_name=opt",
      datestyle: "ISO",
      "postern.agent": "from-packet",
    });
    expect(Object.fromEntries(facts.settings)).toEqual({ geqo: "2", datestyle: "ISO" });
    expect(facts.claimed).toEqual({ agent: "from-packet" });
    expect(facts.application).toBe("opt");
    expect(read({ jit: "a", JIT: "b" }).settings.get("jit")).toBe("b");
  });

  it.each(["-B 3", "-d5", "x", "-c", "-c novalue", "--", "--x", "-c =1"])("refuses options %j", (options) => {
    expect(() => read({ options })).toThrow(ProtocolError);
  });
});

describe("what a client claims", () => {
  it("is kept and never a setting", () => {
    const facts = read({
      options: "-c postern.run=42 -c postern.intent=look\\ up\\ orders",
      "Postern.Agent": "bot",
      "postern.model": "m-1 🙂",
      "postern.traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    expect(facts.claimed).toEqual({
      run: "42",
      intent: "look up orders",
      agent: "bot",
      model: "m-1 🙂",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    expect(facts.settings.size).toBe(0);
    expect(read({ "postern.agent": "" }).claimed).toEqual({});
  });

  it("is bounded in bytes and free of control characters", () => {
    expect(read({ "postern.agent": "ä".repeat(64) }).claimed.agent).toHaveLength(64);
    expect(refused({ "postern.agent": `${"ä".repeat(64)}x` }).answer?.sqlstate).toBe("22023");
    expect(read({ "postern.intent": "x".repeat(2048) }).claimed.intent).toHaveLength(2048);
    for (const text of ["a\nb", "a\x1bb", "a\u2028b", "a\u202eb", "a\x7fb", "a\u0085b"])
      expect(refused({ "postern.intent": text }).code).toBe("PARAMETER_REFUSED");
  });
});

describe("user, database, replication", () => {
  it("follows PostgreSQL", () => {
    expect(refused({ user: "" }).code).toBe("USER_MISSING");
    expect(read({}).database).toBe("u");
    expect(read({ database: "" }).database).toBe("u");
    expect(read({ user: "a@example.com", database: "Shop" })).toMatchObject({
      user: "a@example.com",
      database: "Shop",
    });
    expect(read({ user: "x\ny" }).user).toBe("x?y");
  });

  it("reads replication as parse_bool does", () => {
    for (const value of ["true", "t", "TRUE", "on", "1", "yes", "y"])
      expect(read({ replication: value }).replication).toBe("physical");
    for (const value of ["false", "f", "off", "of", "0", "no", "N"])
      expect(read({ replication: value }).replication).toBe("off");
    expect(read({ replication: "database" }).replication).toBe("database");
    for (const value of ["", "o", "Database", "2", "truex", "databas"])
      expect(refused({ replication: value }).answer?.sqlstate).toBe("22023");
  });

  it("cleans application_name and keeps it out of the settings", () => {
    const facts = read({ application_name: "tool\u202e\x07 1" });
    expect(facts.application).toBe("tool?? 1");
    expect(facts.settings.size).toBe(0);
    expect(read({ application_name: "" }).application).toBeNull();
    expect(clean("🙂".repeat(200))).toBe(`${"🙂".repeat(128)}…`);
  });
});

describe("addresses", () => {
  it("knows loopback, in every spelling sockets report", () => {
    for (const address of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"])
      expect(isLoopback(address)).toBe(true);
    for (const address of [
      "10.0.0.1",
      "::ffff:10.0.0.1",
      "::",
      "0.0.0.0",
      "fe80::1",
      "",
      "127.evil",
      "1270.0.0.1",
      "::ffff:7f00:1",
    ])
      expect(isLoopback(address)).toBe(false);
    expect(plainAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
    expect(plainAddress("2001:db8::1")).toBe("2001:db8::1");
  });
});
