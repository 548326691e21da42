// Curator's recipes, each with several clients of their own that contend, and where it matters with a session that ends in the
// middle. Prints a line a recipe, `ok NAME` or `failed NAME: what`, and ends with 1 if one failed.
//
//   Recipes HOST:PORT [NAME]...

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

public final class Recipes {
    interface Recipe {
        void play(Scene scene) throws Exception;
    }

    /** Most of a recipe is waiting. */
    private static final int AT_A_TIME = 6;

    private static Map<String, Recipe> recipes() {
        Map<String, Recipe> all = new LinkedHashMap<>();
        Locks.add(all);
        Leaders.add(all);
        Caches.add(all);
        Counters.add(all);
        Queues.add(all);
        Nodes.add(all);
        return all;
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    private static String reason(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null && !(cause instanceof AssertionError)) {
            cause = cause.getCause();
        }
        StackTraceElement ours = Arrays.stream(cause.getStackTrace())
            .filter(at -> !at.getClassName().contains(".") && !at.getClassName().startsWith("Scene"))
            .findFirst()
            .orElse(null);
        return (cause + " (" + ours + ")").replace('\n', ' ');
    }

    public static void main(String[] arguments) throws Exception {
        List<String> wanted = List.of(arguments).subList(1, arguments.length);
        AtomicBoolean failed = new AtomicBoolean();
        ExecutorService threads = Executors.newFixedThreadPool(AT_A_TIME);
        recipes().forEach((name, recipe) -> {
            if (!wanted.isEmpty() && !wanted.contains(name)) {
                return;
            }
            threads.execute(() -> {
                long started = System.nanoTime();
                try (Scene scene = new Scene(arguments[0], "/" + name.replace(' ', '-'))) {
                    recipe.play(scene);
                    say("ok " + name);
                } catch (Throwable error) {
                    failed.set(true);
                    say("failed " + name + ": " + reason(error));
                }
                System.err.println(name + ": " + (System.nanoTime() - started) / 1_000_000 + " ms");
            });
        });
        threads.shutdown();
        threads.awaitTermination(5, TimeUnit.MINUTES);
        System.exit(failed.get() ? 1 : 0);
    }
}
