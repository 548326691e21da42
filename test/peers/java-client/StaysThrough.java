// ZooKeeper's Java client that writes one node again and again, and has an ephemeral one: what it meets it prints, a line a thing, and
// it goes on. When its session is over it takes a new handle, as every program has to.

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

public final class StaysThrough {
    private static ZooKeeper client;

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static void connect(String[] args) throws Exception {
        client = new ZooKeeper(args[0], Integer.parseInt(args[1]), event -> {
            if (event.getType() == Watcher.Event.EventType.None) {
                say("state " + event.getState());
            }
        });
    }

    public static void main(String[] args) throws Exception {
        connect(args);
        boolean ephemeral = false;
        while (true) {
            try {
                if (client.exists("/java", false) == null) {
                    client.create("/java", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                }
                if (!ephemeral) {
                    client.create("/java/me", new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
                    ephemeral = true;
                    say("ephemeral");
                }
                say("version " + client.setData("/java", "beat".getBytes("US-ASCII"), -1).getVersion());
            } catch (KeeperException.SessionExpiredException error) {
                say("error SessionExpired");
                client.close();
                ephemeral = false;
                connect(args);
            } catch (KeeperException error) {
                say("error " + error.code());
            }
            Thread.sleep(50);
        }
    }
}
