import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Base64;
import java.util.Properties;

/** One session of pgjdbc, driven line by line: "id op base64…" in, "id ok" or "id error SQLSTATE" out. */
public class HoldJdbc {
  static Connection conn;
  static volatile Statement running;

  static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  static int run(String[] texts) throws SQLException {
    try (PreparedStatement statement = conn.prepareStatement(texts[0])) {
      running = statement;
      for (int i = 1; i < texts.length; i++) statement.setInt(i, Integer.parseInt(texts[i]));
      boolean rows = statement.execute();
      if (!rows) return statement.getUpdateCount();
      int count = 0;
      while (statement.getResultSet().next()) count++;
      return count;
    }
  }

  static void together(String[] texts) throws SQLException {
    try (Statement statement = conn.createStatement()) {
      running = statement;
      for (String text : texts) statement.addBatch(text);
      statement.executeBatch();
    }
  }

  static void work(String number, String op, String[] texts) {
    try {
      int count = 0;
      switch (op) {
        case "run": count = run(texts); break;
        case "together": together(texts); break;
        case "begin": conn.setAutoCommit(false); break;
        case "commit": conn.commit(); conn.setAutoCommit(true); break;
        case "rollback": conn.rollback(); conn.setAutoCommit(true); break;
        default: throw new IllegalArgumentException(op);
      }
      say(number + " ok " + count);
    } catch (SQLException error) {
      SQLException last = error;
      while (last.getNextException() != null) last = last.getNextException();
      say(number + " error " + last.getSQLState() + " " + last.getMessage().split("\n")[0]);
    }
  }

  public static void main(String[] args) throws Exception {
    Properties settings = new Properties();
    settings.setProperty("user", System.getenv("PGUSER"));
    settings.setProperty("password", System.getenv("PGPASSWORD"));
    settings.setProperty("sslmode", "disable");
    conn = DriverManager.getConnection(
        "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"),
        settings);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split(" ");
      String[] texts = new String[words.length - 2];
      for (int i = 0; i < texts.length; i++) texts[i] = new String(Base64.getDecoder().decode(words[i + 2]), "UTF-8");
      if (words[1].equals("cancel")) {
        running.cancel();
        say(words[0] + " ok 0");
      } else if (words[1].equals("end")) {
        conn.close();
        say(words[0] + " ok 0");
        break;
      } else {
        Thread worker = new Thread(() -> work(words[0], words[1], texts));
        worker.setDaemon(true);
        worker.start();
      }
    }
  }
}
