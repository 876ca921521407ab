import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.TimeZone;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** Battery for pgjdbc; prints what a client sees, in parts. */
public class Jdbc {
  interface Part { void run() throws Exception; }
  interface Call { Object run() throws Exception; }

  static final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

  static void part(String name, Part part) {
    out.println("## " + name);
    Thread thread = new Thread(() -> {
      try {
        part.run();
      } catch (Exception e) {
        out.println("UNEXPECTED " + failure(e));
        out.println(Arrays.stream(e.getStackTrace()).filter(f -> f.getClassName().startsWith("Jdbc")).findFirst().orElse(null));
      }
    });
    thread.setDaemon(true);
    thread.start();
    try {
      thread.join(60_000);
    } catch (InterruptedException e) {
      throw new RuntimeException(e);
    }
    if (thread.isAlive()) out.println("TIMEOUT");
  }

  static void outcome(String what, Call call) {
    try {
      out.println(what + " " + call.run());
    } catch (Exception e) {
      out.println(what + " failed " + failure(e));
    }
  }

  static String failure(Throwable e) {
    StringBuilder text = new StringBuilder(e.getClass().getSimpleName());
    if (e instanceof SQLException s) text.append(' ').append(s.getSQLState());
    ServerErrorMessage m = e instanceof PSQLException p ? p.getServerErrorMessage() : null;
    if (m == null) text.append(' ').append(e.getMessage());
    else
      text.append(' ').append(Arrays.asList(m.getSeverity(), m.getSQLState(), m.getMessage(), m.getDetail(), m.getHint(), m.getPosition(), m.getWhere(), m.getSchema(), m.getTable(), m.getColumn(), m.getDatatype(), m.getConstraint(), m.getFile(), m.getLine(), m.getRoutine(), m.getInternalPosition(), m.getInternalQuery()));
    if (e instanceof BatchUpdateException b) text.append(" counts ").append(Arrays.toString(b.getUpdateCounts()));
    if (e instanceof SQLException s && s.getNextException() != null && s.getNextException() != e) text.append(" next: ").append(failure(s.getNextException()));
    return text.toString();
  }

  static Connection connect(String... more) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", System.getenv("PGPASSWORD"));
    p.setProperty("sslmode", "disable");
    for (int i = 0; i < more.length; i += 2) p.setProperty(more[i], more[i + 1]);
    return DriverManager.getConnection("jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), p);
  }

  static String md5(byte[] data) throws Exception {
    StringBuilder text = new StringBuilder();
    for (byte b : MessageDigest.getInstance("MD5").digest(data)) text.append(String.format("%02x", b));
    return text.toString();
  }

  static String rows(ResultSet r) throws SQLException {
    ResultSetMetaData m = r.getMetaData();
    StringBuilder text = new StringBuilder();
    for (int i = 1; i <= m.getColumnCount(); i++)
      text.append(m.getColumnLabel(i)).append(':').append(m.getColumnTypeName(i)).append(':').append(m.getPrecision(i)).append(':').append(m.getScale(i)).append(' ');
    int n = 0;
    for (; r.next(); n++) {
      if (n >= 200) continue;
      text.append("| ");
      for (int i = 1; i <= m.getColumnCount(); i++) text.append(m.getColumnTypeName(i).equals("bytea") ? Arrays.toString(r.getBytes(i)) : r.getString(i)).append(' ');
    }
    return text.append("= ").append(n).toString();
  }

  static String query(Connection c, String sql, Object... values) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
      boolean result = s.execute();
      StringBuilder text = new StringBuilder();
      while (true) {
        if (result) text.append(rows(s.getResultSet())).append(' ');
        else if (s.getUpdateCount() >= 0) text.append("count ").append(s.getUpdateCount()).append(' ');
        else return text.toString();
        result = s.getMoreResults();
      }
    }
  }

  static final String types = "select 1::int2 a, 2::int4 b, 3::int8 c, 1.5::float4 d, 2.5::float8 e, 123.45::numeric f, true g, 'ü☃🐘'::text h, 'c'::char(3) i, '\\xdead00'::bytea j, '2024-02-29'::date k,"
      + " '12:34:56.7'::time l, '12:34:56+02'::timetz m, '2024-02-29 12:00:00+02'::timestamptz n, '2024-02-29 12:00:00'::timestamp o, '1 year 2 days'::interval p, '{\"a\":[1,null]}'::json q, '{\"a\":1}'::jsonb r,"
      + " '{1,2,null}'::int[] s, '{{a,b},{\"c d\",null}}'::text[] t, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid u, '10.0.0.0/8'::cidr v, int4range(1,5) w, '(1,2)'::point x, B'101'::bit(3) y, row(1,'x') z, null aa, ''::varchar(5) ab, 12.34::money ac, '<a/>'::xml ad, 'NaN'::numeric ae, 'infinity'::timestamptz af";

  public static void main(String[] args) throws Exception {
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything"))
      for (String threshold : List.of("5", "1", "-1")) {
        if (mode.equals("simple") && !threshold.equals("5")) continue;
        part("preferQueryMode=" + mode + " prepareThreshold=" + threshold, () -> mode(mode, threshold));
      }
    part("settings and session", Jdbc::settings);
    part("application_name given at connect", Jdbc::applicationName);
    part("metadata", Jdbc::metadata);
    part("errors with all fields", Jdbc::errors);
    part("transactions and savepoints", Jdbc::transactions);
    for (String autosave : List.of("never", "always", "conservative")) part("autosave=" + autosave, () -> autosave(autosave));
    part("batches", () -> batches("false"));
    part("batches, reWriteBatchedInserts", () -> batches("true"));
    part("fetch size: portals in portions", Jdbc::fetching);
    part("COPY", Jdbc::copying);
    part("large objects (fast path)", Jdbc::largeObjects);
    part("notices and notifications", Jdbc::notifications);
    part("cancel and query time-out", Jdbc::cancelling);
    part("functions and procedures", Jdbc::calls);
    part("updatable results, generated keys", Jdbc::updatable);
    part("10 MB both ways, 32,767 parameters, 200,000 rows", Jdbc::sizes);
    part("plan changed, discard all, deallocate", Jdbc::changed);
    part("read-only connection, schema, network time-out, isValid", Jdbc::connection);
    part("eight threads", Jdbc::threads);
    part("the server ends the session", Jdbc::ended);
    part("replication connection", () -> outcome("connect", () -> {
      try (Connection c = connect("replication", "database", "preferQueryMode", "simple", "assumeMinServerVersion", "10")) {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("IDENTIFY_SYSTEM")) {
          return r.getMetaData().getColumnCount();
        }
      }
    }));
    System.exit(0);
  }

  static void mode(String mode, String threshold) throws Exception {
    try (Connection c = connect("preferQueryMode", mode, "prepareThreshold", threshold)) {
      try (PreparedStatement s = c.prepareStatement(types)) {
        for (int i = 0; i < 8; i++) out.println(rows(s.executeQuery()));
      }
      try (PreparedStatement s = c.prepareStatement("select ?::int + 1, ?::text, ?::numeric, ?::timestamptz, ?, ?::int[], ?::bool, ?::float8")) {
        for (int i = 0; i < 9; i++) {
          s.setInt(1, i);
          s.setString(2, i == 3 ? null : "té'xt " + i);
          s.setBigDecimal(3, new BigDecimal("12345678901234567890.123").multiply(BigDecimal.valueOf(i)));
          s.setTimestamp(4, new java.sql.Timestamp(1_700_000_000_000L + i));
          // The driver cannot write bytes in simple mode.
          if (mode.equals("simple")) s.setString(5, "bytes");
          else s.setBytes(5, new byte[] {0, (byte) i, (byte) 255});
          Array array = c.createArrayOf("int4", new Object[] {i, null, -i});
          s.setArray(6, array);
          s.setBoolean(7, i % 2 == 0);
          s.setDouble(8, i / 3.0);
          out.println(rows(s.executeQuery()));
        }
      }
      try (Statement s = c.createStatement()) {
        s.execute("create temp table m(id serial primary key, v text)");
        for (int i = 0; i < 7; i++) out.println(s.executeUpdate("insert into m(v) values ('x'), ('y')"));
        boolean result = s.execute("select 1 as one; insert into m(v) values ('z'); select count(*) from m; update m set v = 'w' where id < 4");
        StringBuilder text = new StringBuilder();
        for (; ; result = s.getMoreResults()) {
          if (result) text.append(rows(s.getResultSet())).append(" / ");
          else if (s.getUpdateCount() >= 0) text.append(s.getUpdateCount()).append(" / ");
          else break;
        }
        out.println(text);
        outcome("error in the middle", () -> s.execute("insert into m(v) values ('no'); select 1/0; select 2"));
        outcome("empty", () -> s.execute(""));
        outcome("comment", () -> s.execute("-- nothing"));
        outcome("count", () -> rows(s.executeQuery("select count(*) from m")));
      }
      for (int i = 0; i < 7; i++) {
        int n = i;
        outcome("error " + i, () -> query(c, "select 10 / ?::int", n % 3));
      }
    }
  }

  static void settings() throws Exception {
    try (Connection c = connect("ApplicationName", "battery", "currentSchema", "a,public", "options", "-c statement_timeout=54321 -c IntervalStyle=iso_8601", "assumeMinServerVersion", "9.0")) {
      for (String name : List.of("search_path", "statement_timeout", "IntervalStyle", "TimeZone", "extra_float_digits", "DateStyle", "client_encoding"))
        out.println(name + " " + query(c, "show " + name));
      out.println(c.getSchema() + " " + c.getCatalog() + " " + c.getTransactionIsolation() + " " + c.isReadOnly());
      PGConnection pg = c.unwrap(PGConnection.class);
      for (String name : List.of("server_version", "TimeZone", "client_encoding", "DateStyle", "integer_datetimes", "standard_conforming_strings", "is_superuser")) out.println(name + " " + pg.getParameterStatus(name));
      c.setClientInfo("ApplicationName", "changed");
      out.println(query(c, "show application_name"));
    }
    outcome("wrong setting", () -> connect("options", "-c search_path=x -c lock_timeout=5000").isValid(1));
  }

  static void applicationName() throws Exception {
    try (Connection c = connect("ApplicationName", "battery", "assumeMinServerVersion", "9.0")) {
      out.println(query(c, "show application_name"));
    }
  }

  static void metadata() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      s.execute("drop schema if exists md cascade; create schema md; create table md.parent(id int primary key, name varchar(20) not null default 'x', price numeric(10,2)); create table md.child(id bigserial primary key, parent int references md.parent, unique (parent)); create view md.v as select * from md.parent; create function md.f(a int, out b text) language sql as 'select $1::text'; create index on md.parent(lower(name))");
      DatabaseMetaData m = c.getMetaData();
      out.println(m.getDatabaseProductName() + " " + m.getDatabaseProductVersion() + " " + m.getDriverVersion() + " " + m.getMaxConnections() + " " + m.getUserName());
      out.println(rows(m.getTables(null, "md", "%", null)));
      out.println(rows(m.getColumns(null, "md", "%", "%")));
      out.println(rows(m.getPrimaryKeys(null, "md", "parent")));
      out.println(rows(m.getImportedKeys(null, "md", "child")));
      out.println(rows(m.getExportedKeys(null, "md", "parent")));
      out.println(rows(m.getIndexInfo(null, "md", "parent", false, false)));
      out.println(rows(m.getFunctions(null, "md", "%")));
      out.println(rows(m.getFunctionColumns(null, "md", "f", "%")));
      out.println(rows(m.getProcedures(null, "md", "%")));
      out.println(rows(m.getSchemas(null, "md")));
      out.println(rows(m.getTypeInfo()));
      out.println(rows(m.getTablePrivileges(null, "md", "%")));
      out.println(rows(m.getBestRowIdentifier(null, "md", "parent", 0, false)));
      try (PreparedStatement p = c.prepareStatement("select p.*, lower(name) from md.parent p where id = ? and name = ?")) {
        ResultSetMetaData r = p.getMetaData();
        for (int i = 1; i <= r.getColumnCount(); i++) out.println(r.getColumnName(i) + " " + r.getTableName(i) + " " + r.getSchemaName(i) + " " + r.isNullable(i) + " " + r.isAutoIncrement(i));
        out.println(p.getParameterMetaData().getParameterCount() + " " + p.getParameterMetaData().getParameterTypeName(1) + " " + p.getParameterMetaData().getParameterTypeName(2));
      }
      s.execute("drop schema md cascade");
    }
  }

  static void errors() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      s.execute("create temp table e(id int primary key, v int constraint positive check (v > 0), n text not null); insert into e values (1, 1, 'x')");
      for (String sql : List.of("selct", "select 1/0", "select nope", "insert into e values (1, 1, 'x')", "insert into e values (2, 0, 'x')", "insert into e values (2, 1)", "do $$ begin raise exception 'mine' using errcode = 'ABCDE', detail = 'd', hint = 'h'; end $$", "select 1/(500-g) from generate_series(1, 1000) g", "select '"))
        for (int i = 0; i < 2; i++) outcome(sql, () -> query(c, sql));
      outcome("bad value", () -> query(c, "select ?::int", "x"));
      outcome("NUL", () -> query(c, "select ?", "a\0b"));
      outcome("too few", () -> query(c, "select ?::int, ?::int", 1));
      outcome("unknown type", () -> query(c, "select ? is null", new Object[] {null}));
      outcome("still", () -> query(c, "select 1"));
    }
  }

  static void transactions() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      s.execute("create temp table t(x int unique deferrable initially deferred)");
      c.setAutoCommit(false);
      for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
        c.setTransactionIsolation(level);
        out.println(query(c, "show transaction_isolation"));
        c.commit();
      }
      query(c, "insert into t values (1)");
      Savepoint sp = c.setSavepoint("odd \"name\"");
      query(c, "insert into t values (2)");
      outcome("error", () -> query(c, "select 1/0"));
      outcome("aborted", () -> query(c, "select 1"));
      c.rollback(sp);
      query(c, "insert into t values (3)");
      c.releaseSavepoint(sp);
      c.commit();
      out.println(query(c, "select * from t order by x"));
      query(c, "insert into t values (4)");
      c.rollback();
      query(c, "insert into t values (5), (5)");
      outcome("commit fails", () -> { c.commit(); return null; });
      outcome("aborted commit", () -> { try { query(c, "selct"); } catch (SQLException e) { out.println(failure(e)); } c.commit(); return "committed"; });
      c.rollback();
      c.setAutoCommit(true);
      out.println(query(c, "select count(*) from t"));
    }
  }

  static void autosave(String mode) throws Exception {
    try (Connection c = connect("autosave", mode); Statement s = c.createStatement()) {
      s.execute("create temp table t(x int)");
      c.setAutoCommit(false);
      query(c, "insert into t values (1)");
      outcome("error", () -> query(c, "select 1/0"));
      outcome("after", () -> query(c, "insert into t values (2)"));
      for (int i = 0; i < 7; i++) outcome("select", () -> query(c, "select * from t"));
      if (mode.equals("never")) c.rollback();
      outcome("alter", () -> s.execute("alter table t add y int"));
      outcome("plan changed", () -> query(c, "select * from t"));
      outcome("commit", () -> { c.commit(); return "done"; });
      outcome("count", () -> query(c, "select count(*) from t"));
    }
  }

  static void batches(String rewrite) throws Exception {
    try (Connection c = connect("reWriteBatchedInserts", rewrite); Statement s = c.createStatement()) {
      s.execute("create temp table b(x int primary key, y text)");
      try (PreparedStatement p = c.prepareStatement("insert into b values (?, ?)")) {
        for (int round = 0; round < 3; round++) {
          for (int i = 0; i < 700; i++) {
            p.setInt(1, round * 1000 + i);
            p.setString(2, i % 5 == 0 ? null : "é".repeat(i));
            p.addBatch();
          }
          out.println(Arrays.toString(p.executeBatch()).hashCode());
        }
        for (int i = 5000; i < 5010; i++) { p.setInt(1, i == 5007 ? 5001 : i); p.setString(2, "x"); p.addBatch(); }
        outcome("a duplicate among them", () -> Arrays.toString(p.executeBatch()));
      }
      for (String sql : List.of("insert into b values (9000, 'a')", "update b set y = 'b' where x < 10", "select 1", "delete from b where x > 2000")) s.addBatch(sql);
      outcome("mixed", () -> Arrays.toString(s.executeBatch()));
      s.clearBatch();
      s.addBatch("delete from b where x = 1");
      s.addBatch("create temp table b2(x int)");
      s.addBatch("insert into b2 select generate_series(1, 10)");
      out.println(Arrays.toString(s.executeBatch()));
      try (PreparedStatement p = c.prepareStatement("insert into b2 values (?) returning x", Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 0; i < 50; i++) { p.setInt(1, i); p.addBatch(); }
        out.println(p.executeBatch().length + " " + rows(p.getGeneratedKeys()));
      }
      out.println(query(c, "select count(*), sum(x), count(y), sum(length(y)) from b"));
    }
  }

  static void fetching() throws Exception {
    try (Connection c = connect()) {
      c.setAutoCommit(false);
      for (int size : new int[] {1, 7, 100, 5000}) {
        try (PreparedStatement p = c.prepareStatement("select g, md5(g::text) from generate_series(1, 1000) g")) {
          p.setFetchSize(size);
          for (int i = 0; i < 2; i++) {
            long sum = 0;
            int n = 0;
            try (ResultSet r = p.executeQuery()) {
              while (r.next()) { sum += r.getString(2).hashCode() + r.getInt(1); n++; if (i == 1 && n == 500) break; }
            }
            out.println(size + " " + n + " " + sum);
          }
        }
      }
      try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY); ResultSet r = s.executeQuery("select g from generate_series(1, 50) g")) {
        r.last();
        out.println(r.getRow());
        r.absolute(10);
        out.println(r.getInt(1));
      }
      try (PreparedStatement p = c.prepareStatement("select 1/(50-g) from generate_series(1, 100) g")) {
        p.setFetchSize(10);
        outcome("error on the way", () -> rows(p.executeQuery()));
      }
      c.rollback();
      try (Statement one = c.createStatement(); Statement two = c.createStatement()) {
        one.setFetchSize(3);
        two.setFetchSize(4);
        ResultSet a = one.executeQuery("select g from generate_series(1, 20) g");
        ResultSet b = two.executeQuery("select -g from generate_series(1, 20) g");
        StringBuilder text = new StringBuilder();
        while (a.next() && b.next()) text.append(a.getInt(1)).append(b.getInt(1));
        out.println(text);
        one.setMaxRows(5);
        out.println(rows(one.executeQuery("select g from generate_series(1, 20) g")));
      }
      c.commit();
    }
  }

  static void copying() throws Exception {
    try (Connection c = connect()) {
      CopyManager m = c.unwrap(PGConnection.class).getCopyAPI();
      query(c, "create temp table cp(a int, b text)");
      out.println(m.copyIn("copy cp from stdin", new StringReader("1\tone\n2\t\\N\n")));
      StringBuilder lines = new StringBuilder();
      for (int i = 0; i < 20000; i++) lines.append(i).append('\t').append("y".repeat(i % 200)).append('\n');
      out.println(m.copyIn("copy cp from stdin", new ByteArrayInputStream(lines.toString().getBytes(StandardCharsets.UTF_8))));
      ByteArrayOutputStream data = new ByteArrayOutputStream();
      out.println(m.copyOut("copy (select * from cp order by a, b) to stdout", data) + " " + data.size() + " " + md5(data.toByteArray()));
      data.reset();
      out.println(m.copyOut("copy (select g from generate_series(1, 1000) g) to stdout (format binary)", data) + " " + data.size() + " " + md5(data.toByteArray()));
      outcome("bad", () -> m.copyIn("copy cp from stdin", new StringReader("x\ty\n")));
      var in = m.copyIn("copy cp from stdin");
      byte[] row = "7\tseven\n".getBytes();
      in.writeToCopy(row, 0, row.length);
      in.cancelCopy();
      outcome("after cancel", () -> query(c, "select count(*) from cp"));
      var reading = m.copyOut("copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout");
      reading.readFromCopy();
      outcome("cancel while reading", () -> { reading.cancelCopy(); return "cancelled"; });
      outcome("after", () -> query(c, "select 1"));
      outcome("not a copy", () -> m.copyIn("select 1", new StringReader("")));
      outcome("after", () -> query(c, "select 2"));
    }
  }

  static void largeObjects() throws Exception {
    try (Connection c = connect()) {
      c.setAutoCommit(false);
      LargeObjectManager m = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long oid = m.createLO();
      LargeObject lo = m.open(oid, LargeObjectManager.READWRITE);
      for (int i = 0; i < 30; i++) lo.write("0123456789abcdef".repeat(4000).getBytes());
      lo.seek(100);
      byte[] data = lo.read(1_000_000);
      out.println(data.length + " " + md5(data) + " " + lo.tell() + " " + lo.size());
      lo.truncate(10);
      out.println(lo.size());
      lo.close();
      c.commit();
      m.unlink(oid);
      c.commit();
      outcome("missing", () -> m.open(999999999, LargeObjectManager.READ));
      c.rollback();
      out.println(query(c, "select count(*) from pg_largeobject_metadata"));
    }
  }

  static void notifications() throws Exception {
    try (Connection c = connect(); Connection d = connect(); Statement s = c.createStatement()) {
      s.execute("do $$ begin raise notice 'a' using detail = 'd', hint = 'h'; raise warning 'b'; end $$");
      for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) out.println(w.getSQLState() + " " + w.getMessage());
      s.execute("listen five");
      query(d, "select pg_notify('five', g::text) from generate_series(1, 3) g");
      List<String> heard = new ArrayList<>();
      for (int i = 0; i < 50 && heard.size() < 3; i++) {
        PGNotification[] got = c.unwrap(PGConnection.class).getNotifications(100);
        if (got != null) for (PGNotification n : got) heard.add(n.getName() + " " + n.getParameter());
      }
      out.println(heard);
    }
  }

  static void cancelling() throws Exception {
    try (Connection c = connect(); Statement s = c.createStatement()) {
      for (String sql : List.of("select pg_sleep(30)", "select g, pg_sleep(0.001) from generate_series(1, 1000000) g")) {
        Thread t = new Thread(() -> { try { Thread.sleep(500); s.cancel(); } catch (Exception e) { out.println(failure(e)); } });
        t.start();
        outcome(sql, () -> rows(s.executeQuery(sql)));
        t.join();
        Thread.sleep(300);
      }
      s.setQueryTimeout(1);
      outcome("query time-out", () -> s.executeQuery("select pg_sleep(30)"));
      Thread.sleep(300);
      s.setQueryTimeout(0);
      outcome("after", () -> rows(s.executeQuery("select 1")));
    }
  }

  static void calls() throws Exception {
    try (Connection c = connect("escapeSyntaxCallMode", "callIfNoReturn"); Statement s = c.createStatement()) {
      s.execute("create or replace function pg_temp.plus(a int, b int) returns int language sql as 'select a + b'; create or replace procedure outs(a int, inout b text) language plpgsql as $$ begin b := b || a; commit; end $$");
      try (CallableStatement f = c.prepareCall("{? = call pg_temp.plus(?, ?)}")) {
        f.registerOutParameter(1, Types.INTEGER);
        for (int i = 0; i < 7; i++) { f.setInt(2, i); f.setInt(3, 10); f.execute(); out.println(f.getInt(1)); }
      }
      try (CallableStatement f = c.prepareCall("call outs(?, ?)")) {
        f.setInt(1, 5);
        f.setString(2, "x");
        f.registerOutParameter(2, Types.VARCHAR);
        f.execute();
        out.println(f.getString(2));
      }
      c.setAutoCommit(false);
      s.execute("create or replace function pg_temp.refs() returns refcursor language plpgsql as $$ declare r refcursor := 'named'; begin open r for select generate_series(1, 5); return r; end $$");
      try (CallableStatement f = c.prepareCall("{? = call pg_temp.refs()}")) {
        f.registerOutParameter(1, Types.OTHER);
        f.execute();
        out.println(rows((ResultSet) f.getObject(1)));
      }
      c.commit();
      s.execute("drop procedure outs");
      c.commit();
    }
  }

  static void updatable() throws Exception {
    try (Connection c = connect()) {
      query(c, "create temp table up(id serial primary key, v text)");
      try (PreparedStatement p = c.prepareStatement("insert into up(v) values (?), (?)", new String[] {"id"})) {
        p.setString(1, "a");
        p.setString(2, "b");
        p.executeUpdate();
        out.println(rows(p.getGeneratedKeys()));
      }
      try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE); ResultSet r = s.executeQuery("select id, v from up order by id")) {
        r.next();
        r.updateString(2, "changed");
        r.updateRow();
        r.moveToInsertRow();
        r.updateInt(1, 50);
        r.updateString(2, "inserted");
        r.insertRow();
        r.absolute(2);
        r.deleteRow();
      }
      out.println(query(c, "select * from up order by id"));
    }
  }

  static void sizes() throws Exception {
    try (Connection c = connect()) {
      String text = "0123456789é".repeat(1_000_000);
      out.println(query(c, "select ?::text = repeat('0123456789é', 1000000)", text));
      byte[] data = new byte[10_000_000];
      for (int i = 0; i < data.length; i++) data[i] = (byte) (i * 7);
      try (PreparedStatement p = c.prepareStatement("select ?::bytea")) {
        for (int i = 0; i < 7; i++) {
          p.setBytes(1, data);
          ResultSet r = p.executeQuery();
          r.next();
          if (i == 0 || i == 6) out.println(md5(r.getBytes(1)));
        }
      }
      StringBuilder marks = new StringBuilder("?::int");
      for (int i = 1; i < 32767; i++) marks.append(",?::int");
      Object[] values = new Object[32767];
      Arrays.fill(values, 1);
      out.println(query(c, "select cardinality(array[" + marks + "])", values));
      try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("select g, g::text, g::float8 from generate_series(1, 200000) g")) {
        long sum = 0;
        while (r.next()) sum = sum * 31 + r.getInt(1) + r.getString(2).hashCode() + (long) r.getDouble(3);
        out.println(sum);
      }
    }
  }

  static void changed() throws Exception {
    try (Connection c = connect("prepareThreshold", "2"); Statement s = c.createStatement()) {
      s.execute("create temp table t(a int); insert into t values (1)");
      try (PreparedStatement p = c.prepareStatement("select * from t where a > ?")) {
        for (int i = 0; i < 5; i++) { p.setInt(1, 0); out.println(rows(p.executeQuery())); }
        s.execute("alter table t add b text default 'new'");
        outcome("plan changed", () -> rows(p.executeQuery()));
        s.execute("deallocate all");
        outcome("deallocated", () -> rows(p.executeQuery()));
        s.execute("discard all");
        outcome("discarded", () -> rows(p.executeQuery()));
        s.execute("set search_path = pg_catalog");
        outcome("search_path", () -> query(c, "select count(*) > 0 from pg_class where relname = ?", "pg_class"));
      }
    }
  }

  static void connection() throws Exception {
    try (Connection c = connect("readOnly", "true")) {
      out.println(c.isValid(5) + " " + c.isReadOnly());
      outcome("write", () -> query(c, "create table never(x int)"));
      c.setReadOnly(false);
      c.setSchema("pg_catalog");
      out.println(query(c, "show search_path") + c.getSchema());
      c.setNetworkTimeout(Runnable::run, 20_000);
      out.println(c.getNetworkTimeout());
      c.setAutoCommit(false);
      c.setReadOnly(true);
      outcome("write in a transaction", () -> query(c, "create table never(x int)"));
      c.rollback();
    }
  }

  static void threads() throws Exception {
    List<Thread> all = new ArrayList<>();
    long[] sums = new long[8];
    for (int n = 0; n < 8; n++) {
      int me = n;
      Thread t = new Thread(() -> {
        for (int round = 0; round < 5; round++)
          try (Connection c = connect(); PreparedStatement p = c.prepareStatement("select ?::int * 2")) {
            for (int i = 0; i < 100; i++) {
              p.setInt(1, i);
              ResultSet r = p.executeQuery();
              r.next();
              sums[me] += r.getInt(1);
            }
          } catch (SQLException e) {
            out.println(failure(e));
          }
      });
      all.add(t);
      t.start();
    }
    for (Thread t : all) t.join();
    out.println(Arrays.toString(sums));
  }

  static void ended() throws Exception {
    Connection c = connect();
    outcome("own backend", () -> query(c, "select pg_terminate_backend(pg_backend_pid())"));
    out.println(c.isClosed());
    outcome("the next", () -> query(c, "select 1"));
  }
}
