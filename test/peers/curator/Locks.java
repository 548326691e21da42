// Locks and semaphores: never more holders than there may be, whoever waits gets its turn, and what a session held is free when
// the session is over, not before.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;
import org.apache.curator.framework.recipes.shared.SharedCount;

final class Locks {
    static void add(Map<String, Recipes.Recipe> all) {
        all.put("lock", Locks::lock);
        all.put("lock of a session that was closed", Locks::lockOfAClosedSession);
        all.put("lock of a process that died", Locks::lockOfADeadProcess);
        all.put("read and write lock", Locks::readWriteLock);
        all.put("lock that is not of a thread", Locks::semaphoreMutex);
        all.put("several locks as one", Locks::multiLock);
        all.put("semaphore", Locks::semaphore);
        all.put("semaphore under contention", Locks::contendedSemaphore);
    }

    /** What the lock guards has no guard of its own. */
    private static void lock(Scene scene) throws Exception {
        CuratorFramework reader = scene.client();
        String counter = scene.root + "/counter";
        reader.create().creatingParentsIfNeeded().forPath(counter, Scene.bytes(0));
        AtomicInteger inside = new AtomicInteger();
        scene.parallel(4, index -> {
            CuratorFramework client = scene.client();
            InterProcessMutex lock = new InterProcessMutex(client, scene.root + "/lock");
            for (int round = 0; round < 12; round++) {
                lock.acquire();
                Scene.check(lock.acquire(1, TimeUnit.SECONDS), "its owner's thread can't take it again");
                Scene.same("holders", 1, inside.incrementAndGet());
                int count = Integer.parseInt(Scene.text(client.getData().forPath(counter)));
                client.setData().forPath(counter, Scene.bytes(count + 1));
                inside.decrementAndGet();
                lock.release();
                Scene.check(lock.isOwnedByCurrentThread(), "one release ended both");
                lock.release();
            }
        });
        Scene.same("rounds", "48", Scene.text(reader.getData().forPath(counter)));
        Scene.same("nodes of the lock", List.of(), reader.getChildren().forPath(scene.root + "/lock"));
    }

    /** Another one wants it; what it gets comes from this thread. */
    private static Future<Long> wait(Scene scene, InterProcessMutex lock, CountDownLatch release) {
        return scene.start(() -> {
            Scene.check(lock.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the lock did not come");
            long at = System.nanoTime();
            release.await();
            lock.release();
            return at;
        });
    }

    private static void lockOfAClosedSession(Scene scene) throws Exception {
        CuratorFramework owner = scene.client();
        InterProcessMutex first = new InterProcessMutex(owner, scene.root);
        InterProcessMutex second = new InterProcessMutex(scene.client(), scene.root);
        InterProcessMutex third = new InterProcessMutex(scene.client(), scene.root);
        first.acquire();
        Scene.check(!second.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "two holders");
        CountDownLatch release = new CountDownLatch(1);
        Future<Long> next = wait(scene, second, release);
        Scene.eventually("a second in line", () -> third.getParticipantNodes().size() == 2);
        Future<Long> last = wait(scene, third, release);
        Scene.eventually("a third in line", () -> third.getParticipantNodes().size() == 3);
        scene.expire(owner);
        Scene.eventually("the second as holder", second::isAcquiredInThisProcess);
        Scene.check(!third.isAcquiredInThisProcess(), "the third overtook the second");
        release.countDown();
        Scene.check(Scene.end(next) < Scene.end(last), "not in the order of asking");
        first.release();
        Scene.check(first.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "not to be had by the new session of the first");
        first.release();
    }

    private static void lockOfADeadProcess(Scene scene) throws Exception {
        CuratorFramework owner = scene.client(Scene.SHORT_SESSION_MS);
        InterProcessMutex first = new InterProcessMutex(owner, scene.root);
        InterProcessMutex second = new InterProcessMutex(scene.client(), scene.root);
        first.acquire();
        CountDownLatch release = new CountDownLatch(0);
        Future<Long> next = wait(scene, second, release);
        Scene.eventually("a second in line", () -> second.getParticipantNodes().size() == 2);
        long died = System.nanoTime();
        scene.die(owner);
        long waitedMs = TimeUnit.NANOSECONDS.toMillis(Scene.end(next) - died);
        // The server heard of it last at most a third of the timeout before.
        Scene.check(waitedMs > Scene.SHORT_SESSION_MS / 2, "the lock was free after " + waitedMs + " ms already");
    }

    private static void readWriteLock(Scene scene) throws Exception {
        List<InterProcessReadWriteLock> locks = new ArrayList<>();
        List<CuratorFramework> clients = scene.clients(4);
        for (CuratorFramework client : clients) {
            locks.add(new InterProcessReadWriteLock(client, scene.root));
        }
        InterProcessMutex one = locks.get(0).readLock();
        InterProcessMutex two = locks.get(1).readLock();
        one.acquire();
        Scene.check(two.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "one reader at a time");
        Scene.check(!locks.get(2).writeLock().acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "a writer beside readers");
        CountDownLatch downgrade = new CountDownLatch(1);
        CountDownLatch downgraded = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        Future<Void> writer = scene.start(() -> {
            InterProcessReadWriteLock lock = locks.get(2);
            Scene.check(lock.writeLock().acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "the writer's turn did not come");
            downgrade.await();
            Scene.check(lock.readLock().acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "a writer that may not read");
            lock.writeLock().release();
            downgraded.countDown();
            release.await();
            lock.readLock().release();
            return null;
        });
        Scene.eventually("a writer in line", () -> locks.get(3).writeLock().getParticipantNodes().size() == 1);
        InterProcessMutex late = locks.get(3).readLock();
        Scene.check(!late.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "a reader before a writer that waits");
        one.release();
        scene.expire(clients.get(1));
        Scene.eventually("the writer's turn", () -> locks.get(2).writeLock().isAcquiredInThisProcess());
        Scene.check(!late.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "a reader beside a writer");
        downgrade.countDown();
        Scene.check(downgraded.await(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "no way from writing to reading");
        Scene.check(late.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "no reader beside a reader that was a writer");
        release.countDown();
        Scene.end(writer);
        late.release();
    }

    private static void semaphoreMutex(Scene scene) throws Exception {
        InterProcessSemaphoreMutex mine = new InterProcessSemaphoreMutex(scene.client(), scene.root);
        InterProcessSemaphoreMutex yours = new InterProcessSemaphoreMutex(scene.client(), scene.root);
        mine.acquire();
        Scene.check(!yours.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "two holders");
        Scene.end(scene.start(() -> {
            mine.release();
            return null;
        }));
        Scene.check(yours.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "another thread could not release it");
        yours.release();
    }

    private static void multiLock(Scene scene) throws Exception {
        List<String> paths = List.of(scene.root + "/1", scene.root + "/2");
        CuratorFramework other = scene.client();
        InterProcessMutex second = new InterProcessMutex(other, paths.get(1));
        InterProcessMultiLock both = new InterProcessMultiLock(scene.client(), paths);
        second.acquire();
        Scene.check(!both.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "both, of which one is held");
        Scene.same("nodes of the first lock", List.of(), other.getChildren().forPath(paths.get(0)));
        second.release();
        Scene.check(both.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS), "both, of which none is held");
        Scene.check(!second.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS), "one of both that are held");
        both.release();
    }

    private static void semaphore(Scene scene) throws Exception {
        List<CuratorFramework> clients = scene.clients(4);
        List<InterProcessSemaphoreV2> semaphores = new ArrayList<>();
        for (CuratorFramework client : clients) {
            semaphores.add(new InterProcessSemaphoreV2(client, scene.root, 3));
        }
        List<Lease> leases = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            leases.add(semaphores.get(i).acquire());
        }
        InterProcessSemaphoreV2 fourth = semaphores.get(3);
        Scene.check(fourth.acquire(Scene.QUIET_MS, TimeUnit.MILLISECONDS) == null, "a fourth of three leases");
        semaphores.get(0).returnLease(leases.get(0));
        Lease taken = fourth.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS);
        Scene.check(taken != null, "a lease that was given back is not to be had");
        Future<Lease> freed = scene.start(() -> fourth.acquire(Scene.WAIT_MS, TimeUnit.MILLISECONDS));
        scene.expire(clients.get(1));
        Lease inherited = Scene.end(freed);
        Scene.check(inherited != null, "the lease of a closed session is not to be had");
        Scene.same("leases", 3, fourth.getParticipantNodes().size());
        fourth.returnAll(List.of(taken, inherited));
        Scene.same("leases that are left", 1, fourth.getParticipantNodes().size());
    }

    /** The number of leases is itself shared. */
    private static void contendedSemaphore(Scene scene) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        scene.parallel(4, index -> {
            CuratorFramework client = scene.client();
            try (SharedCount size = new SharedCount(client, scene.root + "/size", 2)) {
                size.start();
                InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(client, scene.root + "/semaphore", size);
                for (int round = 0; round < 6; round++) {
                    try (Lease lease = semaphore.acquire()) {
                        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                        Thread.sleep(10);
                        inside.decrementAndGet();
                    }
                }
            }
        });
        Scene.check(most.get() <= 2, most + " holders of two leases");
    }
}
