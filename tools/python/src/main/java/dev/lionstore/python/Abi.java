package dev.lionstore.python;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.lionstore.kernel.VectorModule;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/**
 * What a process that has this JVM in it calls: the public functions of {@link RuleFunctions},
 * {@link BuildFunctions}, {@link StoreFunctions} and {@link SnapshotFunctions} as C functions of
 * {@value #ARGUMENTS} {@code int64_t}, of which each uses those that it has, and an {@code int64_t}
 * result. A result below zero is an error's number ({@link Failure}); what it says, and every
 * result that is text or bytes, waits for the calling thread until it {@code take}s it. Any thread
 * may call.
 *
 * <p>The table, little-endian:
 *
 * <pre>
 *  int64  version            {@value #VERSION}
 *  int64  functions
 *  for each function:
 *  int64  address of its name, UTF-8, zero-terminated
 *  int64  its address
 * </pre>
 */
public final class Abi {
  private static final List<Class<?>> OWNERS =
      List.of(
          RuleFunctions.class, BuildFunctions.class, StoreFunctions.class, SnapshotFunctions.class);
  private static final long VERSION = 5;
  private static final int HEAD_WORDS = 2;
  private static final int ENTRY_WORDS = 2;

  /** All take as many: the JDK makes the code for a signature once, in 20 ms. */
  private static final int ARGUMENTS = 6;

  private Abi() {}

  /**
   * Loads what the kernels need and gives the table's address; it is never freed.
   *
   * @throws ReflectiveOperationException if this runtime is not the one that the project builds
   */
  public static long table() throws ReflectiveOperationException {
    VectorModule.load();
    List<Method> functions =
        OWNERS.stream()
            .flatMap(owner -> Arrays.stream(owner.getDeclaredMethods()))
            .filter(method -> Modifier.isPublic(method.getModifiers()))
            .sorted(Comparator.comparing(Method::getName))
            .toList();
    MemorySegment table =
        Arena.global().allocate(JAVA_LONG, HEAD_WORDS + (long) ENTRY_WORDS * functions.size());
    table.setAtIndex(JAVA_LONG, 0, VERSION);
    table.setAtIndex(JAVA_LONG, 1, functions.size());
    for (int f = 0; f < functions.size(); f++) {
      Method function = functions.get(f);
      long entry = HEAD_WORDS + (long) ENTRY_WORDS * f;
      MemorySegment name = Arena.global().allocateFrom(function.getName());
      table.setAtIndex(JAVA_LONG, entry, name.address());
      table.setAtIndex(JAVA_LONG, entry + 1, stub(function).address());
    }
    return table.address();
  }

  /** Nothing may be thrown into C: the process would end. */
  @SuppressWarnings("restricted") // the signature is the method's own
  private static MemorySegment stub(Method function) throws ReflectiveOperationException {
    MethodHandles.Lookup lookup = MethodHandles.lookup();
    MethodHandle failed =
        lookup.findStatic(
            Failure.class, "record", MethodType.methodType(long.class, Throwable.class));
    MethodHandle guarded =
        MethodHandles.catchException(
            lookup.unreflect(function),
            Throwable.class,
            MethodHandles.dropArguments(failed, 1, function.getParameterTypes()));
    int missing = ARGUMENTS - function.getParameterCount();
    MethodHandle padded =
        MethodHandles.dropArguments(
            guarded,
            function.getParameterCount(),
            Collections.nCopies(missing, (Class<?>) long.class));
    ValueLayout[] arguments = new ValueLayout[ARGUMENTS];
    Arrays.fill(arguments, JAVA_LONG);
    return Linker.nativeLinker()
        .upcallStub(padded, FunctionDescriptor.of(JAVA_LONG, arguments), Arena.global());
  }
}
