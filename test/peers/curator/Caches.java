// Caches: what a cache shows is what the tree shows, after any writes of others and after the end of the cache's own session;
// and its listeners hear each change.

import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.zookeeper.KeeperException;

final class Caches {
    static void add(Map<String, Recipes.Recipe> all) {
        all.put("cache of children", Caches::children);
        all.put("cache of a node", Caches::node);
        all.put("cache of a tree", Caches::tree);
        all.put("cache by a persistent watch", Caches::persistent);
    }

    /** What the tree holds below `root`, itself included. */
    private static Map<String, String> tree(CuratorFramework client, String root) throws Exception {
        Map<String, String> nodes = new TreeMap<>();
        try {
            nodes.put(root, Scene.text(client.getData().forPath(root)));
            for (String child : client.getChildren().forPath(root)) {
                nodes.putAll(tree(client, root + "/" + child));
            }
        } catch (KeeperException.NoNodeException gone) {
            return nodes;
        }
        return nodes;
    }

    /** Three clients write what comes into their heads, in two levels. */
    private static void write(Scene scene, String root) throws Exception {
        AtomicInteger written = new AtomicInteger();
        scene.parallel(3, index -> {
            CuratorFramework client = scene.client();
            Random random = new Random(index);
            for (int i = 0; i < 50; i++) {
                String path = root + "/" + random.nextInt(4) + (random.nextBoolean() ? "" : "/" + random.nextInt(3));
                byte[] data = Scene.bytes(index + " " + i);
                try {
                    switch (random.nextInt(3)) {
                        case 0 -> client.create().forPath(path, data);
                        case 1 -> client.setData().forPath(path, data);
                        default -> client.delete().forPath(path);
                    }
                    written.incrementAndGet();
                } catch (KeeperException.NoNodeException | KeeperException.NodeExistsException
                    | KeeperException.NotEmptyException refused) {
                    // Nothing changed.
                }
            }
        });
        Scene.check(written.get() > 20, "only " + written + " writes of 150 changed something");
    }

    /** The cache follows the tree: over many writes, and over the end of its session with more of them. */
    private static void follows(
        Scene scene, CuratorFramework owner, Callable<Map<String, String>> cached, Callable<Map<String, String>> actual)
        throws Exception {
        write(scene, scene.root);
        Scene.eventuallySame("the cache", actual.call(), cached);
        scene.expire(owner);
        write(scene, scene.root);
        Scene.eventuallySame("the cache in a new session", actual.call(), cached);
    }

    private static void children(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework writer = scene.client();
        writer.create().forPath(scene.root, new byte[0]);
        List<String> heard = new CopyOnWriteArrayList<>();
        try (PathChildrenCache cache = new PathChildrenCache(owner, scene.root, true)) {
            cache.getListenable().addListener((client, event) -> {
                if (event.getData() != null) {
                    ChildData child = event.getData();
                    heard.add(event.getType() + " " + child.getPath() + " " + Scene.text(child.getData()));
                }
            });
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            String path = scene.root + "/a";
            writer.create().forPath(path, Scene.bytes(1));
            Scene.eventuallySame("events", List.of("CHILD_ADDED " + path + " 1"), () -> List.copyOf(heard));
            writer.setData().forPath(path, Scene.bytes(2));
            Scene.eventually("a second event", () -> heard.size() == 2);
            writer.delete().forPath(path);
            Scene.eventually("a third event", () -> heard.size() == 3);
            Scene.same(
                "events", List.of("CHILD_UPDATED " + path + " 2", "CHILD_REMOVED " + path + " 2"), heard.subList(1, 3));
            follows(scene, owner, () -> shown(cache.getCurrentData()), () -> {
                Map<String, String> nodes = tree(writer, scene.root);
                nodes.keySet().removeIf(one -> one.substring(scene.root.length()).lastIndexOf('/') != 0);
                return nodes;
            });
        }
    }

    private static Map<String, String> shown(Iterable<ChildData> nodes) {
        Map<String, String> all = new TreeMap<>();
        nodes.forEach(node -> all.put(node.getPath(), Scene.text(node.getData())));
        return all;
    }

    private static void node(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework writer = scene.client();
        try (NodeCache cache = new NodeCache(owner, scene.root)) {
            cache.start(true);
            Callable<String> shown =
                () -> cache.getCurrentData() == null ? "none" : Scene.text(cache.getCurrentData().getData());
            Scene.same("a node that is not there", "none", shown.call());
            for (int round = 0; round < 3; round++) {
                writer.create().forPath(scene.root, Scene.bytes(round + " created"));
                Scene.eventuallySame("a new node", round + " created", shown);
                writer.setData().forPath(scene.root, Scene.bytes(round + " changed"));
                Scene.eventuallySame("a changed node", round + " changed", shown);
                if (round == 1) {
                    scene.expire(owner);
                }
                writer.delete().forPath(scene.root);
                Scene.eventuallySame("a deleted node", "none", shown);
            }
        }
    }

    private static Map<String, String> shown(TreeCache cache, String root) {
        Map<String, String> all = new TreeMap<>();
        if (cache.getCurrentData(root) != null) {
            all.put(root, Scene.text(cache.getCurrentData(root).getData()));
        }
        Map<String, ChildData> children = cache.getCurrentChildren(root);
        (children == null ? Collections.<String>emptySet() : children.keySet())
            .forEach(child -> all.putAll(shown(cache, root + "/" + child)));
        return all;
    }

    private static void tree(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework writer = scene.client();
        writer.create().forPath(scene.root, Scene.bytes("root"));
        try (TreeCache cache = new TreeCache(owner, scene.root)) {
            cache.start();
            follows(scene, owner, () -> shown(cache, scene.root), () -> tree(writer, scene.root));
        }
    }

    private static void persistent(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        CuratorFramework writer = scene.client();
        writer.create().forPath(scene.root, Scene.bytes("root"));
        List<String> heard = new CopyOnWriteArrayList<>();
        try (CuratorCache cache = CuratorCache.build(owner, scene.root)) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                .forCreates(node -> heard.add("created " + node.getPath()))
                .forChanges((old, node) -> heard.add(Scene.text(old.getData()) + " to " + Scene.text(node.getData())))
                .forDeletes(node -> heard.add("deleted " + node.getPath()))
                .afterInitialized()
                .build());
            cache.start();
            Scene.eventually("the root", () -> cache.get(scene.root).isPresent());
            String path = scene.root + "/a";
            // Whatever is heard before the cache has its first view is not told: the first of these may be.
            Scene.eventually("a first event", () -> {
                writer.create().orSetData().forPath(path, Scene.bytes("x"));
                Thread.sleep(50);
                return !heard.isEmpty();
            });
            writer.delete().forPath(path);
            Scene.eventually("its end", () -> heard.contains("deleted " + path));
            heard.clear();
            writer.create().forPath(path, Scene.bytes("1"));
            Scene.eventuallySame("a create", List.of("created " + path), () -> List.copyOf(heard));
            writer.setData().forPath(path, Scene.bytes("2"));
            Scene.eventuallySame("a change", List.of("created " + path, "1 to 2"), () -> List.copyOf(heard));
            writer.create().forPath(path + "/below", new byte[0]);
            Scene.eventually("a node below", () -> heard.contains("created " + path + "/below"));
            writer.delete().deletingChildrenIfNeeded().forPath(path);
            Scene.eventually("the end of both", () -> heard.size() == 5);
            Scene.same("deletes", List.of("deleted " + path + "/below", "deleted " + path), heard.subList(3, 5));
            follows(scene, owner, () -> shown(cache.stream()::iterator), () -> tree(writer, scene.root));
        }
    }
}
