package dev.lionstore.python;

import dev.lionstore.store.StoreBuilder;
import java.io.IOException;
import java.nio.file.Path;

/** A store that is being made from a model in memory; tensors have the plan's numbers. */
final class NewStore implements AutoCloseable {
  private final StoreBuilder builder;
  private final int[] indexes;
  private final Path directory;

  private NewStore(StoreBuilder builder, int[] indexes, Path directory) {
    this.builder = builder;
    this.indexes = indexes;
    this.directory = directory;
  }

  static NewStore create(Plan plan, Path directory) throws IOException {
    StoreBuilder builder = StoreBuilder.create(directory, plan.layout());
    return new NewStore(builder, plan.indexesIn(builder.layout()), directory);
  }

  void setMaster(long tensor, long type, long address) throws IOException {
    int index = indexes[Math.toIntExact(tensor)];
    long count = builder.layout().tensors().get(index).count();
    builder.setMaster(index, Native.values(type, address, count), directory);
  }

  void finish() throws IOException {
    builder.finish(0, new byte[0]);
  }

  @Override
  public void close() throws IOException {
    builder.close();
  }
}
