package dev.lionstore.kernel;

/**
 * Makes {@code jdk.incubator.vector} available without the warning that the JVM prints about it at
 * every start with {@code --add-modules}, which would stand before each result and error message.
 *
 * <p>This is how the JVM itself loads {@code java.instrument} for an agent that is attached later:
 * the same module, class loader (boot) and intrinsics, in a layer above the boot layer. The warning
 * is printed for the boot layer alone (jdk.internal.module.ModuleBootstrap.checkIncubatingStatus).
 */
public final class VectorModule {
  private static final String NAME = "jdk.incubator.vector";

  private VectorModule() {}

  /**
   * Loads the module unless it is there; to be called before a class that uses it is linked.
   *
   * @throws LinkageError if this JDK has no such module or no longer lets it be loaded like this
   */
  public static void load() {
    if (ModuleLayer.boot().findModule(NAME).isPresent()) {
      return;
    }
    try {
      Class.forName("jdk.internal.module.Modules")
          .getMethod("loadModule", String.class)
          .invoke(null, NAME);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(
          "the JVM does not load "
              + NAME
              + " at run time: start it with --add-modules="
              + NAME
              + " (of the command line and of Python, LIONSTORE_JAVA_OPTS has the flags)",
          e);
    }
  }
}
