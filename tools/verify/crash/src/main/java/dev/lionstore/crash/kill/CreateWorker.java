package dev.lionstore.crash.kill;

import java.io.IOException;
import java.nio.file.Path;

/** A process that makes a scenario's store. */
final class CreateWorker {
  private CreateWorker() {}

  /** Takes the store's folder and the scenario's seed. */
  public static void main(String[] arguments) throws IOException {
    Scenario.of(Long.parseLong(arguments[1])).create(Path.of(arguments[0]));
    System.out.println(CrashWorker.DONE);
  }
}
