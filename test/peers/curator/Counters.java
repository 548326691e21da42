// Counters, shared values and barriers: no update is lost, and nobody goes past a barrier before the others are there.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.atomic.PromotedToLock;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.recipes.shared.VersionedValue;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;

final class Counters {
    static void add(Map<String, Recipes.Recipe> all) {
        all.put("counter", Counters::counter);
        all.put("shared count", Counters::sharedCount);
        all.put("barrier", Counters::barrier);
        all.put("double barrier", Counters::doubleBarrier);
    }

    /** Optimistic writes, and after three collisions a lock. */
    private static void counter(Scene scene) throws Exception {
        PromotedToLock lock =
            PromotedToLock.builder().lockPath(scene.root + "/lock").retryPolicy(new RetryNTimes(100, 10)).build();
        RetryNTimes retries = new RetryNTimes(3, 1);
        String path = scene.root + "/value";
        scene.parallel(4, index -> {
            DistributedAtomicLong counter = new DistributedAtomicLong(scene.client(), path, retries, lock);
            for (int round = 0; round < 20; round++) {
                Scene.check(counter.increment().succeeded(), "an increment failed");
            }
            Scene.check(counter.subtract(5L).succeeded(), "a subtraction failed");
        });
        DistributedAtomicLong counter = new DistributedAtomicLong(scene.client(), path, retries);
        Scene.same("the sum", 60L, counter.get().postValue());
        Scene.check(!counter.initialize(7L), "a counter that there was is new");
        Scene.check(!counter.compareAndSet(59L, 1L).succeeded(), "set although it had another value");
        Scene.check(counter.compareAndSet(60L, 1L).succeeded(), "not set although it had that value");
        Scene.same("what was set", 1L, counter.get().preValue());
    }

    private static void sharedCount(Scene scene) throws Exception {
        List<CuratorFramework> clients = scene.clients(3);
        List<SharedCount> counts = new ArrayList<>();
        Set<String> heard = ConcurrentHashMap.newKeySet();
        for (CuratorFramework client : clients) {
            String name = "client " + counts.size();
            SharedCount count = new SharedCount(client, scene.root, 1);
            count.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader reader, int value) {
                    heard.add(name + " " + value);
                }

                @Override
                public void stateChanged(CuratorFramework changed, ConnectionState state) {}
            });
            counts.add(count);
            count.start();
        }
        SharedCount mine = counts.get(0);
        VersionedValue<Integer> old = mine.getVersionedValue();
        counts.get(1).setCount(100);
        for (SharedCount count : counts) {
            Scene.eventuallySame("the count of each", 100, count::getCount);
        }
        Set<String> all = Set.of("client 0 100", "client 1 100", "client 2 100");
        Scene.eventually("word of it to each listener", () -> heard.containsAll(all));
        Scene.check(!mine.trySetCount(old, 5), "set over a change");
        Scene.check(mine.trySetCount(mine.getVersionedValue(), 5), "not set although nothing changed");
        scene.expire(clients.get(2));
        mine.setCount(9);
        Scene.eventuallySame("the count of a new session", 9, () -> counts.get(2).getCount());
        for (SharedCount count : counts) {
            count.close();
        }
    }

    private static void barrier(Scene scene) throws Exception {
        String path = scene.root + "/barrier";
        DistributedBarrier guard = new DistributedBarrier(scene.client(), path);
        guard.setBarrier();
        AtomicInteger through = new AtomicInteger();
        List<Future<Integer>> waiting = new ArrayList<>();
        for (CuratorFramework client : scene.clients(3)) {
            DistributedBarrier barrier = new DistributedBarrier(client, path);
            Scene.check(!barrier.waitOnBarrier(Scene.QUIET_MS / 4, TimeUnit.MILLISECONDS), "through a barrier that is up");
            waiting.add(scene.start(() -> {
                Scene.check(barrier.waitOnBarrier(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not through");
                return through.incrementAndGet();
            }));
        }
        Thread.sleep(Scene.QUIET_MS);
        Scene.same("those through a barrier that is up", 0, through.get());
        guard.removeBarrier();
        for (Future<Integer> one : waiting) {
            Scene.end(one);
        }
        Scene.check(guard.waitOnBarrier(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "a barrier that is down stops");
    }

    private static void doubleBarrier(Scene scene) throws Exception {
        int members = 4;
        CuratorFramework lost = scene.client();
        AtomicInteger coming = new AtomicInteger();
        AtomicInteger going = new AtomicInteger();
        AtomicInteger gone = new AtomicInteger();
        scene.parallel(members, index -> {
            CuratorFramework client = index == 0 ? lost : scene.client();
            DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(client, scene.root, members);
            Thread.sleep(index * 40L);
            coming.incrementAndGet();
            Scene.check(barrier.enter(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not all came");
            Scene.same("those who came", members, coming.get());
            if (index == 0) {
                // Its place is empty with its session: the others don't wait for it.
                going.incrementAndGet();
                scene.expire(client);
                return;
            }
            Thread.sleep(index * 40L);
            going.incrementAndGet();
            Scene.check(barrier.leave(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not all went");
            Scene.same("those who went", members, going.get());
            gone.incrementAndGet();
        });
        Scene.same("those who are gone", members - 1, gone.get());
    }
}
