// Queues: each item comes out, once, whoever takes it; in order of position, priority or time.

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.queue.DistributedDelayQueue;
import org.apache.curator.framework.recipes.queue.DistributedIdQueue;
import org.apache.curator.framework.recipes.queue.DistributedPriorityQueue;
import org.apache.curator.framework.recipes.queue.DistributedQueue;
import org.apache.curator.framework.recipes.queue.QueueBuilder;
import org.apache.curator.framework.recipes.queue.QueueConsumer;
import org.apache.curator.framework.recipes.queue.QueueSerializer;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.state.ConnectionState;

final class Queues {
    static void add(Map<String, Recipes.Recipe> all) {
        all.put("queue", Queues::queue);
        all.put("queue whose consumer loses its session", Queues::interruptedQueue);
        all.put("queue by identity", Queues::idQueue);
        all.put("queue by priority", Queues::priorityQueue);
        all.put("queue by time", Queues::delayQueue);
        all.put("simple queue", Queues::simpleQueue);
    }

    private static final QueueSerializer<String> TEXT = new QueueSerializer<>() {
        @Override
        public byte[] serialize(String item) {
            return item.getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public String deserialize(byte[] bytes) {
            return new String(bytes, StandardCharsets.UTF_8);
        }
    };

    private static QueueConsumer<String> into(Collection<String> taken) {
        return new QueueConsumer<>() {
            @Override
            public void consumeMessage(String item) {
                taken.add(item);
            }

            @Override
            public void stateChanged(CuratorFramework client, ConnectionState state) {}
        };
    }

    /** Without a consumer it only puts. */
    private static QueueBuilder<String> of(Scene scene, CuratorFramework client, QueueConsumer<String> consumer) {
        return QueueBuilder.builder(client, consumer, TEXT, scene.root + "/items");
    }

    private static void put(Scene scene, int producers, int items) throws Exception {
        scene.parallel(producers, index -> {
            try (DistributedQueue<String> queue = of(scene, scene.client(), null).buildQueue()) {
                queue.start();
                for (int i = 0; i < items; i++) {
                    queue.put(index + "-" + i);
                }
                Scene.check(queue.flushPuts(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "what was put does not arrive");
            }
        });
    }

    private static void empty(Scene scene, CuratorFramework client) throws Exception {
        Scene.eventually("an empty queue", () -> client.getChildren().forPath(scene.root + "/items").isEmpty());
    }

    private static List<String> of(int producer, List<String> taken) {
        return taken.stream().filter(item -> item.startsWith(producer + "-")).toList();
    }

    private static void queue(Scene scene) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        List<DistributedQueue<String>> consumers = new ArrayList<>();
        List<CuratorFramework> clients = scene.clients(3);
        for (CuratorFramework client : clients.subList(0, 2)) {
            DistributedQueue<String> consumer = of(scene, client, into(taken)).lockPath(scene.root + "/locks").buildQueue();
            consumers.add(consumer);
            consumer.start();
        }
        put(scene, 3, 20);
        empty(scene, clients.get(2));
        Scene.eventually("all items", () -> taken.size() == 60);
        Scene.same("different items", 60, new TreeSet<>(taken).size());
        for (DistributedQueue<String> consumer : consumers) {
            consumer.close();
        }
        // A single consumer takes them in the order of their putting.
        taken.clear();
        put(scene, 1, 20);
        try (DistributedQueue<String> alone = of(scene, clients.get(0), into(taken)).buildQueue()) {
            alone.start();
            Scene.eventually("all items", () -> taken.size() == 20);
        }
        List<String> inOrder = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            inOrder.add("0-" + i);
        }
        Scene.same("items of one producer", inOrder, of(0, taken));
    }

    /** With a lock for each item nothing is lost with a consumer; what it was at may come twice. */
    private static void interruptedQueue(Scene scene) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        List<CuratorFramework> clients = scene.clients(2);
        List<DistributedQueue<String>> consumers = new ArrayList<>();
        for (CuratorFramework client : clients) {
            DistributedQueue<String> consumer = of(scene, client, into(taken)).lockPath(scene.root + "/locks").buildQueue();
            consumers.add(consumer);
            consumer.start();
        }
        put(scene, 1, 20);
        scene.expire(clients.get(0));
        put(scene, 2, 20);
        scene.expire(clients.get(1));
        put(scene, 3, 20);
        empty(scene, clients.get(0));
        Scene.eventuallySame("different items", 60, () -> new TreeSet<>(taken).size());
        for (DistributedQueue<String> consumer : consumers) {
            consumer.close();
        }
    }

    private static void idQueue(Scene scene) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        try (DistributedIdQueue<String> producer = of(scene, scene.client(), null).buildIdQueue()) {
            producer.start();
            for (String item : List.of("a", "b", "c")) {
                producer.put(item, "id-" + item);
            }
            producer.flushPuts(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
            Scene.same("items removed by identity", 1, producer.remove("id-b"));
            Scene.same("items removed by an identity that is gone", 0, producer.remove("id-b"));
        }
        try (DistributedIdQueue<String> consumer = of(scene, scene.client(), into(taken)).buildIdQueue()) {
            consumer.start();
            Scene.eventuallySame("what is left", List.of("a", "c"), () -> List.copyOf(taken));
        }
    }

    private static void priorityQueue(Scene scene) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        try (DistributedPriorityQueue<String> producer = of(scene, scene.client(), null).buildPriorityQueue(0)) {
            producer.start();
            for (int priority : new int[] {5, -1, 3, 0, 4}) {
                producer.put("p" + priority, priority);
            }
            producer.flushPuts(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
        }
        try (DistributedPriorityQueue<String> consumer = of(scene, scene.client(), into(taken)).buildPriorityQueue(0)) {
            consumer.start();
            List<String> byPriority = List.of("p-1", "p0", "p3", "p4", "p5");
            Scene.eventuallySame("items by priority", byPriority, () -> List.copyOf(taken));
        }
    }

    private static void delayQueue(Scene scene) throws Exception {
        List<String> taken = new CopyOnWriteArrayList<>();
        try (
            DistributedDelayQueue<String> consumer = of(scene, scene.client(), into(taken)).buildDelayQueue();
            DistributedDelayQueue<String> producer = of(scene, scene.client(), null).buildDelayQueue()
        ) {
            consumer.start();
            producer.start();
            long now = System.currentTimeMillis();
            producer.put("late", now + 1200);
            producer.put("soon", now + 600);
            producer.put("now", now);
            Scene.eventually("the item of now", () -> taken.contains("now"));
            Scene.eventually("the next item", () -> taken.contains("soon"));
            Scene.check(System.currentTimeMillis() >= now + 600, "the next item came too soon");
            Scene.eventuallySame("items by time", List.of("now", "soon", "late"), () -> List.copyOf(taken));
            Scene.check(System.currentTimeMillis() >= now + 1200, "the late item came too soon");
        }
    }

    private static void simpleQueue(Scene scene) throws Exception {
        CuratorFramework client = scene.client();
        SimpleDistributedQueue queue = new SimpleDistributedQueue(client, scene.root);
        Scene.check(queue.poll() == null, "an item out of nothing");
        Scene.check(queue.poll(Scene.QUIET_MS, TimeUnit.MILLISECONDS) == null, "an item out of nothing, later");
        Scene.check(queue.offer(Scene.bytes("first")), "an item is refused");
        Scene.same("the head", "first", Scene.text(queue.peek()));
        Scene.same("what was taken", "first", Scene.text(queue.take()));
        Collection<String> taken = new CopyOnWriteArrayList<>();
        scene.parallel(5, index -> {
            SimpleDistributedQueue mine = new SimpleDistributedQueue(scene.client(), scene.root);
            for (int i = 0; i < 12; i++) {
                if (index < 2) {
                    mine.offer(Scene.bytes(index + "-" + i));
                } else if (i < 8) {
                    taken.add(Scene.text(mine.take()));
                }
            }
        });
        Scene.same("different items", 24, new TreeSet<>(taken).size());
        Scene.same("items that are left", List.of(), client.getChildren().forPath(scene.root));
    }
}
