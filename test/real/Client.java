// One call of migration_upgrade through the PostgreSQL JDBC driver; see test_jdbc.py. Prints a line for each notice when it
// arrives, and one for the result or the error: a kind and fields, separated by tabs. Run as one source file.
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.util.Properties;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Client {
  /** The driver speaks TCP only, and the test server listens on a Unix socket only. */
  public static class UnixFactory extends javax.net.SocketFactory {
    private final String path;

    public UnixFactory(String path) {
      this.path = path;
    }

    @Override
    public Socket createSocket() {
      return new UnixSocket(path);
    }

    @Override
    public Socket createSocket(String host, int port) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(String host, int port, java.net.InetAddress local, int localPort) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(java.net.InetAddress host, int port) {
      throw new UnsupportedOperationException();
    }

    @Override
    public Socket createSocket(java.net.InetAddress host, int port, java.net.InetAddress local, int localPort) {
      throw new UnsupportedOperationException();
    }
  }

  static class UnixSocket extends Socket {
    private final String path;
    private SocketChannel channel;

    UnixSocket(String path) {
      this.path = path;
    }

    @Override
    public void connect(SocketAddress endpoint, int timeout) throws java.io.IOException {
      channel = SocketChannel.open(UnixDomainSocketAddress.of(path));
    }

    @Override
    public InputStream getInputStream() {
      return Channels.newInputStream(channel);
    }

    // Not Channels.newOutputStream: it shares a lock with the input stream of the same channel.
    @Override
    public OutputStream getOutputStream() {
      return new OutputStream() {
        @Override
        public void write(int b) throws java.io.IOException {
          write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int from, int length) throws java.io.IOException {
          ByteBuffer rest = ByteBuffer.wrap(bytes, from, length);
          while (rest.hasRemaining()) {
            channel.write(rest);
          }
        }
      };
    }

    @Override
    public void close() throws java.io.IOException {
      if (channel != null) {
        channel.close();
      }
    }

    @Override
    public boolean isClosed() {
      return channel != null && !channel.isOpen();
    }

    @Override
    public boolean isConnected() {
      return channel != null;
    }

    @Override
    public void setTcpNoDelay(boolean on) {}

    @Override
    public void setKeepAlive(boolean on) {}

    @Override
    public void setSoTimeout(int milliseconds) {}

    @Override
    public int getSoTimeout() {
      return 0;
    }
  }

  static synchronized void say(String... fields) {
    StringBuilder line = new StringBuilder();
    for (String field : fields) {
      line.append(line.length() == 0 ? "" : "\t").append(field == null ? "" : field.replaceAll("\\s+", " "));
    }
    System.out.println(line);
    System.out.flush();
  }

  /** Prints the notices of a statement while it is executed by another thread. */
  static Thread narrator(Statement statement) {
    Thread thread = new Thread(() -> {
      SQLWarning last = null;
      try {
        while (!Thread.interrupted()) {
          SQLWarning next = last == null ? statement.getWarnings() : last.getNextWarning();
          if (next == null) {
            Thread.sleep(20);
          } else {
            last = next;
            say("notice", next.getMessage());
          }
        }
      } catch (SQLException | InterruptedException e) {
        // The statement is over.
      }
    });
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  static String call(Connection connection, String target, boolean parameter) throws SQLException {
    String text = parameter ? "SELECT migration_upgrade(?)" : "SELECT migration_upgrade('" + target + "')";
    try (Statement statement = parameter ? connection.prepareStatement(text) : connection.createStatement()) {
      if (parameter) {
        ((PreparedStatement) statement).setString(1, target);
      }
      Thread thread = narrator(statement);
      try (ResultSet rows = parameter ? ((PreparedStatement) statement).executeQuery() : statement.executeQuery(text)) {
        rows.next();
        return rows.getString(1);
      } finally {
        thread.interrupt();
      }
    }
  }

  static void read(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.executeQuery("SELECT count(*) FROM setting").close();
    }
  }

  public static void main(String[] a) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", a[2]);
    properties.setProperty("socketFactory", UnixFactory.class.getName());
    properties.setProperty("socketFactoryArg", a[0] + "/.s.PGSQL." + a[1]);
    properties.setProperty("sslmode", "disable");
    properties.setProperty("gssEncMode", "disable");
    String mode = a[4];
    if (mode.equals("simple")) {
      properties.setProperty("preferQueryMode", "simple");
    }
    // Named statements from the first execution on, or never, as with a pooler in transaction mode.
    properties.setProperty("prepareThreshold", mode.equals("unnamed") ? "0" : mode.startsWith("prepared") ? "1" : "5");
    try (Connection connection = DriverManager.getConnection("jdbc:postgresql://unix/" + a[3], properties)) {
      try {
        String run = null;
        switch (mode) {
          case "simple", "text" -> run = call(connection, "head", false);
          case "parameter", "prepared", "unnamed" -> run = call(connection, "head", true);
          case "block", "prepared_block" -> {
            connection.setAutoCommit(false);
            read(connection);
            run = call(connection, "head", true);
            connection.commit();
          }
          case "first" -> {
            connection.setAutoCommit(false);
            run = call(connection, "head", true);
            connection.commit();
          }
          case "repeatable" -> {
            connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            connection.setAutoCommit(false);
            run = call(connection, "head", true);
          }
          case "written" -> {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
              statement.executeUpdate("UPDATE account SET seen = 1 WHERE id = 1");
            }
            run = call(connection, "head", true);
          }
          case "unknown" -> run = call(connection, "nonsense", true);
          default -> throw new IllegalArgumentException(mode);
        }
        say("run", run);
      } catch (PSQLException e) {
        ServerErrorMessage m = e.getServerErrorMessage();
        say("error", e.getSQLState(), m == null ? "" : m.getHint(), e.getMessage());
      }
    }
  }
}
