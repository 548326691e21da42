// Nodes that are kept: members of a group, nodes that come back after a session, nodes with a time to live; persistent watches;
// and what the framework itself makes of several operations.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.api.CuratorEvent;
import org.apache.curator.framework.api.transaction.CuratorOp;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.data.Stat;

final class Nodes {
    private static final int TTL_MS = 1500;

    static void add(Map<String, Recipes.Recipe> all) {
        all.put("group member", Nodes::groupMember);
        all.put("persistent node", Nodes::persistentNode);
        all.put("persistent watcher", Nodes::persistentWatcher);
        all.put("persistent recursive watcher", Nodes::recursiveWatcher);
        all.put("persistent node with a time to live", Nodes::persistentTtlNode);
        all.put("transaction", Nodes::transaction);
        all.put("create with all that the framework adds", Nodes::create);
    }

    private static void groupMember(Scene scene) throws Exception {
        List<CuratorFramework> clients = scene.clients(3);
        List<GroupMember> members = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            GroupMember member = new GroupMember(clients.get(i), scene.root, "member " + i, Scene.bytes(i));
            members.add(member);
            member.start();
        }
        Set<String> all = Set.of("member 0", "member 1", "member 2");
        for (GroupMember member : members) {
            Scene.eventuallySame("members", all, () -> member.getCurrentMembers().keySet());
        }
        GroupMember watching = members.get(1);
        members.get(2).setThisData(Scene.bytes("new"));
        Scene.eventuallySame(
            "a member's data", "new", () -> Scene.text(watching.getCurrentMembers().get("member 2")));
        String path = scene.root + "/member 0";
        long owner = clients.get(0).checkExists().forPath(path).getEphemeralOwner();
        scene.expire(clients.get(0));
        Scene.eventually("the member in its new session", () -> {
            Stat stat = clients.get(1).checkExists().forPath(path);
            return stat != null && stat.getEphemeralOwner() != owner;
        });
        for (GroupMember member : members) {
            Scene.eventuallySame("members", all, () -> member.getCurrentMembers().keySet());
        }
        members.get(2).close();
        Set<String> left = Set.of("member 0", "member 1");
        Scene.eventuallySame("members that are left", left, () -> watching.getCurrentMembers().keySet());
        watching.close();
        members.get(0).close();
    }

    private static void persistentNode(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework other = scene.client();
        String path = scene.root + "/below/node";
        try (PersistentNode node = new PersistentNode(owner, CreateMode.EPHEMERAL, false, path, Scene.bytes(1))) {
            node.start();
            Scene.check(node.waitForInitialCreate(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "no node");
            Stat first = other.checkExists().forPath(path);
            other.delete().forPath(path);
            Scene.eventually("the node after its delete", () -> {
                Stat stat = other.checkExists().forPath(path);
                return stat != null && stat.getCzxid() > first.getCzxid();
            });
            node.setData(Scene.bytes(2));
            Scene.eventuallySame("its data", "2", () -> Scene.text(other.getData().forPath(path)));
            scene.expire(owner);
            Scene.eventually("the node in the next session", () -> {
                Stat stat = other.checkExists().forPath(path);
                return stat != null && stat.getEphemeralOwner() != first.getEphemeralOwner();
            });
            Scene.same("its data in the next session", "2", Scene.text(other.getData().forPath(path)));
        }
        Scene.eventually("no node", () -> other.checkExists().forPath(path) == null);
    }

    /** A watcher that stays, what it heard, and how often it had to be set again. */
    private static final class Watching implements AutoCloseable {
        final List<String> heard = new CopyOnWriteArrayList<>();
        final AtomicInteger resets = new AtomicInteger();
        private final PersistentWatcher watcher;

        Watching(CuratorFramework client, String path, boolean recursive) {
            watcher = new PersistentWatcher(client, path, recursive);
            watcher.getListenable().addListener(event -> {
                if (event.getType() != EventType.None) {
                    heard.add(event.getType() + " " + event.getPath());
                }
            });
            watcher.getResetListenable().addListener(resets::incrementAndGet);
            watcher.start();
        }

        /** More often than so many times: at its start, and for each new session. */
        void isSet(int before) throws Exception {
            Scene.eventually("a watch that is set", () -> resets.get() > before);
        }

        void hears(String... events) throws Exception {
            Scene.eventuallySame("events", List.of(events), () -> List.copyOf(heard));
            heard.clear();
        }

        @Override
        public void close() {
            watcher.close();
        }
    }

    private static void persistentWatcher(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework other = scene.client();
        String root = scene.root;
        try (Watching watching = new Watching(owner, root, false)) {
            watching.isSet(0);
            other.create().forPath(root, Scene.bytes(0));
            other.setData().forPath(root, Scene.bytes(1));
            other.setData().forPath(root, Scene.bytes(2));
            other.create().forPath(root + "/a", new byte[0]);
            other.setData().forPath(root + "/a", new byte[1]);
            other.delete().forPath(root + "/a");
            String changed = "NodeDataChanged " + root;
            String children = "NodeChildrenChanged " + root;
            watching.hears("NodeCreated " + root, changed, changed, children, children);
            int before = watching.resets.get();
            scene.expire(owner);
            watching.isSet(before);
            other.delete().forPath(root);
            watching.hears("NodeDeleted " + root);
        }
    }

    private static void recursiveWatcher(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework other = scene.client();
        String root = scene.root;
        try (Watching watching = new Watching(owner, root, true)) {
            watching.isSet(0);
            other.create().creatingParentsIfNeeded().forPath(root + "/a/b", Scene.bytes(0));
            other.setData().forPath(root + "/a/b", Scene.bytes(1));
            watching.hears(
                "NodeCreated " + root, "NodeCreated " + root + "/a", "NodeCreated " + root + "/a/b",
                "NodeDataChanged " + root + "/a/b");
            int before = watching.resets.get();
            scene.expire(owner);
            watching.isSet(before);
            other.delete().deletingChildrenIfNeeded().forPath(root);
            watching.hears("NodeDeleted " + root + "/a/b", "NodeDeleted " + root + "/a", "NodeDeleted " + root);
        }
    }

    /** Lives while its owner touches it, which no session does for it. */
    private static void persistentTtlNode(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework other = scene.client();
        PersistentTtlNode node = new PersistentTtlNode(owner, scene.root, TTL_MS, Scene.bytes("lives"));
        node.start();
        Scene.check(node.waitForInitialCreate(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "no node");
        String touched = scene.root + "/" + PersistentTtlNode.DEFAULT_CHILD_NODE_NAME;
        Scene.eventually("the node that is touched", () -> other.checkExists().forPath(touched) != null);
        Stat born = other.checkExists().forPath(touched);
        Scene.same("its owner", 0L, born.getEphemeralOwner());
        scene.expire(owner);
        Thread.sleep(2 * TTL_MS);
        Scene.same("its data", "lives", Scene.text(other.getData().forPath(scene.root)));
        Stat alive = other.checkExists().forPath(touched);
        Scene.check(alive != null && alive.getVersion() > born.getVersion(), "nobody touched it");
        node.close();
        Scene.eventually("its end", () -> other.checkExists().forPath(touched) == null);
        Scene.eventually("the end of the container", () -> other.checkExists().forPath(scene.root) == null);
    }

    private static void transaction(Scene scene) throws Exception {
        CuratorFramework client = scene.client();
        String root = scene.root;
        CuratorOp create = client.transactionOp().create().forPath(root, Scene.bytes(0));
        CuratorOp below =
            client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath(root + "/n-", new byte[0]);
        CuratorOp set = client.transactionOp().setData().withVersion(0).forPath(root, Scene.bytes(1));
        CuratorOp check = client.transactionOp().check().withVersion(1).forPath(root);
        List<CuratorTransactionResult> results = client.transaction().forOperations(create, below, set, check);
        Scene.same("the sequential node", root + "/n-0000000000", results.get(1).getResultPath());
        Scene.same("the version that was set", 1, results.get(2).getResultStat().getVersion());
        CuratorOp delete = client.transactionOp().delete().forPath(root + "/n-0000000000");
        try {
            client.transaction().forOperations(delete, set);
            Scene.check(false, "a transaction with a wrong version went through");
        } catch (KeeperException.BadVersionException expected) {
            Scene.same("results", 2, expected.getResults().size());
        }
        Scene.same("children", List.of("n-0000000000"), client.getChildren().forPath(root));
        Scene.same("data", "1", Scene.text(client.getData().forPath(root)));
    }

    private static void create(Scene scene) throws Exception {
        CuratorFramework client = scene.client();
        String mine = client.create()
            .creatingParentContainersIfNeeded()
            .withProtection()
            .withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
            .forPath(scene.root + "/parent/n-", Scene.bytes("x"));
        Scene.check(mine.matches(scene.root + "/parent/_c_[0-9a-f-]{36}-n-0000000000"), "a path like " + mine);
        BlockingQueue<CuratorEvent> events = new LinkedBlockingQueue<>();
        client.getData().inBackground((same, event) -> events.add(event)).forPath(mine);
        CuratorEvent read = events.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
        Scene.same("data read in the background", "x", Scene.text(read.getData()));
        client.sync().inBackground((same, event) -> events.add(event)).forPath(scene.root);
        Scene.same("a sync", 0, events.poll(Scene.WAIT_MS, TimeUnit.MILLISECONDS).getResultCode());
        Stat stat = new Stat();
        client.create().storingStatIn(stat).withMode(CreateMode.CONTAINER).forPath(scene.root + "/c", Scene.bytes("abc"));
        Scene.same("the length in a stat", 3, stat.getDataLength());
        client.create().withTtl(60_000).withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath(scene.root + "/t-");
        client.delete().guaranteed().forPath(mine);
        client.delete().quietly().forPath(mine);
        // With their last child the parents go too: they were made as containers.
        Scene.eventually("no empty parent", () -> client.checkExists().forPath(scene.root + "/parent") == null);
        client.delete().deletingChildrenIfNeeded().forPath(scene.root);
        Scene.check(client.checkExists().forPath(scene.root) == null, "still there");
    }
}
