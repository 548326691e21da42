// Leadership: one leader at a time, the others know who, and it moves when the leader's session ends.

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

final class Leaders {
    private static final int CANDIDATES = 4;

    static void add(Map<String, Recipes.Recipe> all) {
        all.put("leader latch", Leaders::latch);
        all.put("leader selector", Leaders::selector);
        all.put("leader whose process died", Leaders::deadLeader);
    }

    private static List<Integer> leaders(List<LeaderLatch> latches) {
        List<Integer> leaders = new ArrayList<>();
        for (int i = 0; i < latches.size(); i++) {
            if (latches.get(i).hasLeadership()) {
                leaders.add(i);
            }
        }
        return leaders;
    }

    private static void latch(Scene scene) throws Exception {
        List<CuratorFramework> clients = scene.clients(CANDIDATES);
        List<LeaderLatch> latches = new ArrayList<>();
        AtomicIntegerArray gained = new AtomicIntegerArray(CANDIDATES);
        AtomicIntegerArray lost = new AtomicIntegerArray(CANDIDATES);
        for (int i = 0; i < CANDIDATES; i++) {
            int index = i;
            LeaderLatch latch = new LeaderLatch(clients.get(i), scene.root, "candidate " + i);
            latch.addListener(new LeaderLatchListener() {
                @Override
                public void isLeader() {
                    gained.incrementAndGet(index);
                }

                @Override
                public void notLeader() {
                    lost.incrementAndGet(index);
                }
            });
            latches.add(latch);
            latch.start();
        }
        LeaderLatch observer = latches.get(0);
        Scene.eventually("a line of all", () -> observer.getParticipants().size() == CANDIDATES);
        Scene.eventually("a leader", () -> leaders(latches).size() == 1);
        int first = leaders(latches).get(0);
        for (LeaderLatch latch : latches) {
            Scene.same("the leader as the others see it", "candidate " + first, latch.getLeader().getId());
        }

        scene.expire(clients.get(first));
        Scene.eventually("another leader", () -> leaders(latches).size() == 1 && leaders(latches).get(0) != first);
        Scene.eventually("the first back in the line", () -> observer.getParticipants().size() == CANDIDATES);
        Scene.eventually("word of it to the first", () -> lost.get(first) == 1 && gained.get(first) == 1);

        // Down to the last one, who is the first that was, now at the end of the line.
        for (int left = CANDIDATES; left > 1; left--) {
            latches.get(leaders(latches).get(0)).close();
            Scene.eventually("a leader of those that are left", () -> leaders(latches).size() == 1);
        }
        Scene.same("the last in the line", List.of(first), leaders(latches));
        latches.get(first).close();
        // It deletes its node in the background.
        Scene.eventually("a latch without nodes", () -> clients.get(0).getChildren().forPath(scene.root).isEmpty());
    }

    /** Leads for a moment at a time, or if it is told to until it is interrupted. */
    private static final class Candidate extends LeaderSelectorListenerAdapter implements AutoCloseable {
        static final int NOBODY = -1;
        final AtomicInteger turns = new AtomicInteger();
        final AtomicInteger interrupted = new AtomicInteger();
        private final int index;
        private final AtomicInteger leader;
        private final LeaderSelector selector;
        private volatile boolean stays;

        Candidate(CuratorFramework client, String path, int index, AtomicInteger leader) {
            this.index = index;
            this.leader = leader;
            selector = new LeaderSelector(client, path, this);
            selector.setId("candidate " + index);
            selector.autoRequeue();
            selector.start();
        }

        @Override
        public void takeLeadership(CuratorFramework client) throws Exception {
            Scene.check(stays || leader.compareAndSet(NOBODY, index), "two leaders");
            turns.incrementAndGet();
            try {
                do {
                    leader.set(index);
                    Thread.sleep(10);
                } while (stays);
            } catch (InterruptedException end) {
                interrupted.incrementAndGet();
                throw end;
            } finally {
                leader.compareAndSet(index, NOBODY);
            }
        }

        String leaderAsSeen() throws Exception {
            return selector.getLeader().getId();
        }

        @Override
        public void close() {
            stays = false;
            selector.close();
        }
    }

    private static void selector(Scene scene) throws Exception {
        List<CuratorFramework> clients = scene.clients(3);
        List<Candidate> candidates = new ArrayList<>();
        AtomicInteger leader = new AtomicInteger(Candidate.NOBODY);
        try {
            for (int i = 0; i < clients.size(); i++) {
                candidates.add(new Candidate(clients.get(i), scene.root, i, leader));
            }
            Scene.eventually("three turns of each", () -> candidates.stream().allMatch(one -> one.turns.get() >= 3));
            for (Candidate candidate : candidates) {
                candidate.stays = true;
            }
            Scene.eventually("one that stays", () -> {
                int before = leader.get();
                Thread.sleep(100);
                return before != Candidate.NOBODY && leader.get() == before;
            });
            int first = leader.get();
            Scene.same("the leader as another sees it", "candidate " + first, candidates.get((first + 1) % 3).leaderAsSeen());
            scene.expire(clients.get(first));
            Scene.eventually("an interruption of the first", () -> candidates.get(first).interrupted.get() == 1);
            Scene.eventually("another leader", () -> leader.get() != Candidate.NOBODY && leader.get() != first);
        } finally {
            candidates.forEach(Candidate::close);
        }
    }

    private static void deadLeader(Scene scene) throws Exception {
        CuratorFramework mortal = scene.client(Scene.SHORT_SESSION_MS);
        LeaderLatch first = new LeaderLatch(mortal, scene.root);
        LeaderLatch second = new LeaderLatch(scene.client(), scene.root);
        first.start();
        Scene.eventually("a leader", first::hasLeadership);
        second.start();
        Scene.eventually("a second in line", () -> first.getParticipants().size() == 2);
        long died = System.nanoTime();
        scene.die(mortal);
        Scene.eventually("another leader", second::hasLeadership);
        long waitedMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - died);
        Scene.check(waitedMs > Scene.SHORT_SESSION_MS / 2, "another leader after " + waitedMs + " ms already");
        second.close();
    }
}
