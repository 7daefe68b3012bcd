package dev.lionstore.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Several who take the snapshot of one step. */
class ConcurrentSnapshotsTest {
  private static final int ROUNDS = 20;
  private static final int TAKERS = 3;

  @TempDir private Path folder;

  @Test
  void allSucceedWhoeverIsFirst() throws Exception {
    Example example = Example.in(folder);
    try (ExecutorService takers = Executors.newFixedThreadPool(TAKERS)) {
      for (int round = 0; round < ROUNDS; round++) {
        Path directory = folder.resolve("snapshots-" + round);
        CyclicBarrier start = new CyclicBarrier(TAKERS);
        List<Future<Cli.Run>> runs = new ArrayList<>();
        for (int t = 0; t < TAKERS; t++) {
          runs.add(takers.submit(() -> take(start, example.store(), directory)));
        }
        for (Future<Cli.Run> run : runs) {
          Cli.Run ended = run.get();
          assertEquals(0, ended.exitCode(), ended::toString);
          assertEquals(directory.resolve("step-000000000001").toString(), ended.out().strip());
        }
        assertEquals(1, Cli.result("snapshots", directory).lines().skip(1).count());
      }
    }
  }

  @Test
  void whoeverComesAfterAnotherStateIsRefused() throws Exception {
    Example example = Example.in(folder);
    Path other = folder.resolve("other");
    Cli.result("import", example.model(), other, "--freeze", "f");
    Cli.result("step", other, "--gradients", example.gradients(), "--lr", "0.02");
    try (ExecutorService takers = Executors.newFixedThreadPool(2)) {
      for (int round = 0; round < ROUNDS; round++) {
        Path directory = folder.resolve("snapshots-" + round);
        CyclicBarrier start = new CyclicBarrier(2);
        Future<Cli.Run> one = takers.submit(() -> take(start, example.store(), directory));
        Future<Cli.Run> two = takers.submit(() -> take(start, other, directory));
        boolean isOneFirst = one.get().exitCode() == 0;
        assertEquals(0, (isOneFirst ? one : two).get().exitCode(), two.get()::toString);
        Path made = directory.resolve("step-000000000001");
        assertEquals(
            made + ": exists already and holds another state; choose another place",
            Cli.requireRefusal((isOneFirst ? two : one).get()));
        assertEquals(Cli.hash(isOneFirst ? example.store() : other), Cli.hash(made));
      }
    }
  }

  private static Cli.Run take(CyclicBarrier start, Path store, Path directory) throws Exception {
    start.await();
    return Cli.run("snapshot", store, directory);
  }
}
