import { describe, expect, it } from "vitest";
import { createSqlReader } from "../../src/sql/index.ts";

const secret = (text: string): boolean | undefined =>
  createSqlReader().read(text).statements[0]?.shape.secret;

describe("secret statements", () => {
  it.each([
    "CREATE ROLE a LOGIN PASSWORD 'x'",
    "CREATE USER a ENCRYPTED PASSWORD 'x'",
    "ALTER ROLE a PASSWORD NULL",
    "ALTER USER a VALID UNTIL 'infinity' PASSWORD 'x'",
    "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'b')",
    "ALTER USER MAPPING FOR a SERVER s OPTIONS (SET password 'x')",
    "CREATE SERVER s FOREIGN DATA WRAPPER f OPTIONS (host 'x')",
    "ALTER SERVER s OPTIONS (SET host 'x')",
    "CREATE FOREIGN DATA WRAPPER f OPTIONS (a 'b')",
    "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p",
    "ALTER SUBSCRIPTION s CONNECTION 'host=x'",
    "ALTER SYSTEM SET ssl_passphrase_command = 'x'",
    "ALTER SYSTEM SET primary_conninfo TO 'x'",
    "SET app.password = 'x'",
    "SET LOCAL app.api_key = x",
    "SET pgx.SECRET_NAME TO 'x', 'y'",
    "ALTER ROLE a SET app.token = 'x'",
    "ALTER DATABASE d SET app.credential TO x",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET app.secret = 'x' AS 'select 1'",
    "SELECT set_config('app.token', 'x', false)",
    "SELECT pg_catalog.set_config('jwt.secret', $1, true)",
    "SELECT dblink_connect('c', 'host=x')",
    "SELECT * FROM dblink('host=x password=y', 'SELECT 1') AS t(a int)",
    "SELECT * FROM dblink(E'host=x p\\x61ssword=y', 'SELECT 1') AS t(a int)",
    "SELECT * FROM dblink($$host=x password=y$$, 'SELECT 1') AS t(a int)",
    "SELECT * FROM dblink(U&'p\\0061ssword=y', 'SELECT 1') AS t(a int)",
    "SELECT 'postgres://a:b@c/d'",
    'SELECT \'{"password": "x"}\'::jsonb',
    "SELECT pgp_sym_encrypt(a, 'key') FROM t",
    "UPDATE t SET p = crypt('x', gen_salt('bf')) WHERE a = 1",
    "CALL dblink_connect('x')",
    "UPDATE users SET p = crypt($1, p)",
    "SELECT dblink_connect($1)",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASS' || 'WORD ''x'''; END $$",
    "DO $$ BEGIN EXECUTE 'create\n\tuser a pass' || 'word ''x'''; END $$",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''x'''; END $$",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT dblink('password=x') $$",
    "PREPARE p AS SELECT dblink_connect('c', 'x')",
    "EXPLAIN SELECT set_config('app.token', 'x', false)",
    "CREATE USR a PASSWORD 'x'",
    "ALTER ROLE a IDENTIFIED BY 'x' x",
    "this is no SQL but a Secret",
    "SELECT 'token",
  ])("%j", (text) => {
    expect(secret(text)).toBe(true);
  });

  it.each([
    "SELECT 1",
    "SELECT * FROM users WHERE password_hash = $1",
    "UPDATE users SET p = crypt(p, p)",
    "DO $$ BEGIN PERFORM create_user_report(); END $$",
    "SELECT 'the password'",
    "SELECT id, token, key FROM t WHERE key = 'x'",
    "SET work_mem = '1MB'",
    "SET SESSION AUTHORIZATION 'bob'",
    "RESET app.password",
    "SHOW app.password",
    "CREATE ROLE a LOGIN",
    "CREATE SERVER s FOREIGN DATA WRAPPER f",
    "ALTER SUBSCRIPTION s DISABLE",
    "SELECT set_config('app.user', 'x', false)",
    "CREATE TABLE t (a text PRIMARY KEY, token text)",
    "DO $$ BEGIN END $$",
    "SELECT 'http://a/b@c:d'",
    "this is no SQL",
  ])("not: %j", (text) => {
    expect(secret(text)).toBe(false);
  });

  it("are not kept in any cache", () => {
    const reader = createSqlReader();
    for (let i = 0; i < 3; i++) {
      expect(reader.read("ALTER ROLE a PASSWORD 'x'").statements[0]?.shape.secret).toBe(true);
      expect(reader.read("SET app.password = x").statements[0]?.shape.secret).toBe(true);
      expect(reader.read("no SQL with a password").statements[0]?.shape.secret).toBe(true);
    }
    expect(reader.stats).toMatchObject({ exactHits: 0, shapeHits: 0, misses: 9, cacheBytes: 0 });
  });
});
