import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Base64;
import java.util.Properties;

/**
 * Runs statements (a line of base64 each on stdin) through pgjdbc: a server-prepared statement that turns to the binary format after
 * its fifth run and is never described again, and one that is fetched in pieces. Prints "way ok|SQLSTATE rows" for each.
 */
public class RunJdbc {
    static String rows(ResultSet found) throws SQLException {
        StringBuilder all = new StringBuilder();
        int columns = found.getMetaData().getColumnCount();
        while (found.next()) {
            for (int i = 1; i <= columns; i++) all.append(String.valueOf(found.getObject(i))).append('|');
            all.append(';');
        }
        return Base64.getEncoder().encodeToString(all.toString().getBytes(StandardCharsets.UTF_8));
    }

    interface Way {
        String run(Connection connection, String sql) throws SQLException;
    }

    static String again(Connection connection, String sql) throws SQLException {
        String last = "";
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < 8; i++) try (ResultSet found = statement.executeQuery()) { last = rows(found); }
        }
        return last;
    }

    static String pieces(Connection connection, String sql) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setFetchSize(3);
            try (ResultSet found = statement.executeQuery()) { return rows(found); }
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    static String undone(Connection connection, String sql) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return statement.execute() ? rows(statement.getResultSet()) : String.valueOf(statement.getUpdateCount());
        } finally {
            connection.rollback();
            connection.setAutoCommit(true);
        }
    }

    static void say(String name, Way way, Connection connection, String sql) {
        try {
            System.out.println(name + " ok " + way.run(connection, sql));
        } catch (SQLException error) {
            String text = Base64.getEncoder().encodeToString(String.valueOf(error.getMessage()).getBytes(StandardCharsets.UTF_8));
            System.out.println(name + " " + error.getSQLState() + " " + text);
        }
    }

    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.setProperty("user", "anyone");
        settings.setProperty("password", System.getenv("PGPASSWORD"));
        settings.setProperty("sslmode", "disable");
        settings.setProperty("prepareThreshold", "3");
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        try (Connection connection = DriverManager.getConnection(url, settings);
                BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                String sql = new String(Base64.getDecoder().decode(line), StandardCharsets.UTF_8);
                if (sql.toLowerCase().matches("(?s)[( ]*(update|delete|insert|merge).*")) say("undone", RunJdbc::undone, connection, sql);
                else {
                    say("again", RunJdbc::again, connection, sql);
                    say("pieces", RunJdbc::pieces, connection, sql);
                }
            }
        }
    }
}
