// What the recipes share: their clients, a place in the tree for each, what they wait for, and the two ways in which a session
// ends without its owner's will: closed by somebody else, or left behind by a process that is gone.

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.utils.CloseableUtils;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooKeeper;

final class Scene implements AutoCloseable {
    /** How long anything may take that has to happen. */
    static final int WAIT_MS = 20_000;
    /** How long something is looked at that must not happen. */
    static final int QUIET_MS = 200;
    /** Of clients that leave their session behind. */
    static final int SHORT_SESSION_MS = 3000;
    private static final int SESSION_MS = 15_000;

    interface Actor {
        void act(int index) throws Exception;
    }

    final String root;
    private final String address;
    private final List<CuratorFramework> clients = Collections.synchronizedList(new ArrayList<>());
    private final ExecutorService threads = Executors.newCachedThreadPool();

    Scene(String address, String root) {
        this.address = address;
        this.root = root;
    }

    /** A session that its client can leave without a word. */
    private static final class Mortal extends ZooKeeper {
        Mortal(String address, int sessionMs, Watcher watcher, boolean readOnly) throws Exception {
            super(address, sessionMs, watcher, readOnly);
        }

        void die() {
            cnxn.disconnect();
        }
    }

    CuratorFramework client() {
        return client(SESSION_MS);
    }

    CuratorFramework client(int sessionMs) {
        CuratorFramework client = CuratorFrameworkFactory.builder()
            .connectString(address)
            .sessionTimeoutMs(sessionMs)
            .connectionTimeoutMs(10_000)
            .retryPolicy(new RetryNTimes(100, 50))
            .zookeeperFactory(Mortal::new)
            .build();
        clients.add(client);
        client.start();
        return client;
    }

    List<CuratorFramework> clients(int count) {
        List<CuratorFramework> some = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            some.add(client());
        }
        return some;
    }

    /** The client's connection ends; its session is left to run out. */
    void die(CuratorFramework client) throws Exception {
        ((Mortal) client.getZookeeperClient().getZooKeeper()).die();
    }

    /** The client's session is over at the server, by a close from elsewhere; the client finds out and opens another. */
    void expire(CuratorFramework client) throws Exception {
        ZooKeeper victim = client.getZookeeperClient().getZooKeeper();
        long id = victim.getSessionId();
        byte[] password = victim.getSessionPasswd();
        // The victim may come back between the two steps of a twin, so only a twin that is told so shows the end.
        for (int attempt = 0; attempt < 10; attempt++) {
            CountDownLatch told = new CountDownLatch(1);
            AtomicReference<KeeperState> state = new AtomicReference<>();
            ZooKeeper twin = new ZooKeeper(address, SESSION_MS, event -> {
                state.compareAndSet(null, event.getState());
                told.countDown();
            }, id, password);
            check(told.await(WAIT_MS, TimeUnit.MILLISECONDS), "a twin of the session was told nothing");
            twin.close();
            if (state.get() == KeeperState.Expired) {
                eventually("the client's next session", () -> sessionId(client) != id);
                return;
            }
        }
        throw new AssertionError("the session does not end");
    }

    private static long sessionId(CuratorFramework client) {
        try {
            long id = client.getZookeeperClient().getZooKeeper().getSessionId();
            return id == 0 ? -1 : id;
        } catch (Exception reconnecting) {
            return -1;
        }
    }

    <T> Future<T> start(Callable<T> task) {
        return threads.submit(task);
    }

    static <T> T end(Future<T> task) throws Exception {
        return task.get(WAIT_MS, TimeUnit.MILLISECONDS);
    }

    /** So many at the same time; the first failure is thrown. */
    void parallel(int count, Actor actor) throws Exception {
        List<Future<Void>> tasks = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int index = i;
            tasks.add(start(() -> {
                actor.act(index);
                return null;
            }));
        }
        for (Future<Void> task : tasks) {
            end(task);
        }
    }

    static void eventually(String what, Callable<Boolean> holds) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(WAIT_MS);
        while (!holds.call()) {
            check(System.nanoTime() < deadline, what + " did not come about");
            Thread.sleep(5);
        }
    }

    static <T> void eventuallySame(String what, T expected, Callable<T> actual) throws Exception {
        AtomicReference<T> last = new AtomicReference<>();
        try {
            eventually(what, () -> {
                last.set(actual.call());
                return Objects.equals(last.get(), expected);
            });
        } catch (AssertionError late) {
            throw new AssertionError(what + ": " + last.get() + " instead of " + expected, late);
        }
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new AssertionError(otherwise);
        }
    }

    static void same(String what, Object expected, Object actual) {
        check(Objects.equals(actual, expected), what + ": " + actual + " instead of " + expected);
    }

    static byte[] bytes(Object text) {
        return text.toString().getBytes();
    }

    static String text(byte[] data) {
        return data == null ? "null" : new String(data);
    }

    @Override
    public void close() {
        threads.shutdownNow();
        for (CuratorFramework client : clients) {
            CloseableUtils.closeQuietly(client);
        }
    }
}
