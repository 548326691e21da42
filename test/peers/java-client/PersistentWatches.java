// ZooKeeper's Java client with one persistent and one recursive watch. It prints what the watches hear, a line an event, and
// carries out lines from its standard input: `read PATH`, `remove PATH`, `quit`. It reconnects as the library does.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;

public final class PersistentWatches {
    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static Watcher named(String name) {
        return event -> {
            if (event.getType() != Watcher.Event.EventType.None) {
                say(name + " " + event.getType() + " " + event.getPath());
            }
        };
    }

    public static void main(String[] args) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper client = new ZooKeeper(args[0], 30_000, (WatchedEvent event) -> {
            if (event.getType() == Watcher.Event.EventType.None) {
                say("state " + event.getState());
                connected.countDown();
            }
        });
        connected.await();
        client.addWatch(args[1], named("persistent"), AddWatchMode.PERSISTENT);
        client.addWatch(args[2], named("recursive"), AddWatchMode.PERSISTENT_RECURSIVE);
        say("watching");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("quit")) {
                break;
            }
            try {
                if (words[0].equals("read")) {
                    client.exists(words[1], false);
                    say("read");
                } else {
                    client.removeAllWatches(words[1], Watcher.WatcherType.Any, false);
                    say("removed");
                }
            } catch (KeeperException error) {
                say("error " + error.code());
            }
        }
        client.close();
        say("closed");
    }
}
