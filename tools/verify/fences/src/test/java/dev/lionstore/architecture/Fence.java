package dev.lionstore.architecture;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import dev.lionstore.checkpoint.PlantedInCheckpoint;
import dev.lionstore.opencl.PlantedInOpencl;
import dev.lionstore.planted.Trespassers;
import dev.lionstore.store.StateStore;
import dev.lionstore.store.StoreBuilder;
import dev.lionstore.store.StoreReader;
import dev.lionstore.store.file.PlantedInStoreFiles;
import dev.lionstore.store.step.PlantedInStoreStep;
import java.lang.foreign.Linker;
import java.util.List;

/**
 * A boundary between packages. In a pattern, two dots at the end include subpackages.
 *
 * @param name what it demands
 * @param rule the check
 * @param trespassers classes that together break it
 */
record Fence(String name, ArchRule rule, List<Class<?>> trespassers) {

  static List<Fence> all() {
    return List.of(
        // The roof is the best loop, without arithmetic, that the kernel is measured beside.
        only(
            "jdk.incubator.vector..",
            Trespassers.UsesVectors.class,
            "dev.lionstore.kernel.vector",
            "dev.lionstore.measure.roof"),
        only("net.openhft..", Trespassers.UsesChronicle.class, "dev.lionstore.os"),
        only("org.lwjgl..", Trespassers.UsesLwjgl.class, "dev.lionstore.opencl.driver"),
        // Lion's kernel is measured beside libtorch's optimizer.
        only(
            "org.bytedeco..",
            Trespassers.UsesLibtorch.class,
            "dev.lionstore.trainer..",
            "dev.lionstore.measure.kernel"),
        only(
            "picocli..",
            Trespassers.UsesPicocli.class,
            "dev.lionstore.cli",
            "dev.lionstore.measure..",
            "dev.lionstore.crash.."),
        only(
            "com.fasterxml.jackson..",
            Trespassers.UsesJson.class,
            "dev.lionstore.safetensors",
            "dev.lionstore.checkpoint",
            "dev.lionstore.trainer",
            "dev.lionstore.trainer.compare",
            "dev.lionstore.cli",
            "dev.lionstore.measure.report",
            "dev.lionstore.measure.kernel",
            "dev.lionstore.measure.device",
            "dev.lionstore.measure.disk"),
        nativeCallsInMapping(),
        coreKnowsNobody(),
        never("opencl knows core alone", Rooms.OPENCL, PlantedInOpencl.class),
        never("checkpoint knows core alone", Rooms.CHECKPOINT, PlantedInCheckpoint.class),
        innerRoom(
            "dev.lionstore.store.file", PlantedInStoreFiles.class, "dev.lionstore.store.step"),
        innerRoom("dev.lionstore.store.step", PlantedInStoreStep.class),
        nobodyKnowsVerification(),
        noCycles());
  }

  @Override
  public String toString() {
    return name;
  }

  private static Fence only(String library, Class<?> trespasser, String... rooms) {
    return new Fence(
        library + " only in " + String.join(", ", rooms),
        noClasses()
            .that()
            .resideOutsideOfPackages(rooms)
            .should()
            .dependOnClassesThat()
            .resideInAPackage(library),
        List.of(trespasser));
  }

  /**
   * Beside the package of the operating system: Python calls Java by addresses that {@code Abi}
   * makes of methods, and calls nothing; the crash tests kill themselves and filter their own
   * system calls, which no product has to.
   */
  private static Fence nativeCallsInMapping() {
    return new Fence(
        "native calls only in dev.lionstore.os",
        noClasses()
            .that()
            .resideOutsideOfPackage("dev.lionstore.os")
            .and()
            .doNotHaveFullyQualifiedName("dev.lionstore.python.Abi")
            .and()
            .doNotHaveFullyQualifiedName("dev.lionstore.crash.kill.SelfKill")
            .and()
            .doNotHaveFullyQualifiedName("dev.lionstore.crash.harness.SeccompListener")
            .should()
            .dependOnClassesThat()
            .areAssignableTo(Linker.class),
        List.of(Trespassers.CallsNative.class));
  }

  private static Fence coreKnowsNobody() {
    return new Fence(
        "core knows nobody",
        noClasses()
            .that()
            .resideInAPackage("dev.lionstore..")
            .and()
            .resideOutsideOfPackages(Rooms.OUTSIDE_CORE)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(Rooms.OUTSIDE_CORE),
        List.of(Trespassers.UsesOpencl.class));
  }

  private static Fence never(String name, String[] room, Class<?> trespasser) {
    return new Fence(
        name,
        noClasses()
            .that()
            .resideInAnyPackage(room)
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(Rooms.strangersTo(room)),
        List.of(trespasser));
  }

  /** The rooms inside the store know none of the classes that open one. */
  private static Fence innerRoom(String room, Class<?> trespasser, String... others) {
    return new Fence(
        room + " opens no store",
        noClasses()
            .that()
            .resideInAPackage(room)
            .should()
            .dependOnClassesThat(
                resideInAnyPackage(others)
                    .or(belongToAnyOf(StateStore.class, StoreReader.class, StoreBuilder.class))),
        List.of(trespasser));
  }

  private static Fence nobodyKnowsVerification() {
    return new Fence(
        "nobody knows verification",
        noClasses()
            .that()
            .resideOutsideOfPackage(Rooms.VERIFICATION)
            .should()
            .dependOnClassesThat()
            .resideInAPackage(Rooms.VERIFICATION),
        List.of(Trespassers.UsesVerification.class));
  }

  private static Fence noCycles() {
    return new Fence(
        "no cycles between packages",
        slices().assignedFrom(new EachPackage()).should().beFreeOfCycles(),
        List.of(PlantedInOpencl.class, PlantedInCheckpoint.class));
  }

  private static final class EachPackage implements SliceAssignment {
    @Override
    public SliceIdentifier getIdentifierOf(JavaClass type) {
      return type.getPackageName().startsWith("dev.lionstore")
          ? SliceIdentifier.of(type.getPackageName())
          : SliceIdentifier.ignore();
    }

    @Override
    public String getDescription() {
      return "each package";
    }
  }
}
