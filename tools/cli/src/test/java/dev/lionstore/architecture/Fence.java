package dev.lionstore.architecture;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.lang.ArchRule;
import dev.lionstore.checkpoint.PlantedInCheckpoint;
import dev.lionstore.opencl.PlantedInOpencl;
import dev.lionstore.planted.Trespassers;
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
        // The roof is the best loop, without arithmetic, that the kernel stands beside.
        only(
            "jdk.incubator.vector..",
            Trespassers.UsesVectors.class,
            "dev.lionstore.kernel.vector",
            "dev.lionstore.bench"),
        only("net.openhft..", Trespassers.UsesChronicle.class, "dev.lionstore.mapping"),
        only("org.lwjgl..", Trespassers.UsesLwjgl.class, "dev.lionstore.opencl.."),
        only("org.bytedeco..", Trespassers.UsesLibtorch.class, "dev.lionstore.trainer.."),
        only("picocli..", Trespassers.UsesPicocli.class, "dev.lionstore.cli"),
        only(
            "com.fasterxml.jackson..",
            Trespassers.UsesJson.class,
            "dev.lionstore.safetensors",
            "dev.lionstore.checkpoint",
            "dev.lionstore.trainer",
            "dev.lionstore.trainer.compare",
            "dev.lionstore.cli"),
        nativeCallsInMapping(),
        coreKnowsNobody(),
        never("opencl knows core alone", Rooms.OPENCL, PlantedInOpencl.class),
        never("checkpoint knows core alone", Rooms.CHECKPOINT, PlantedInCheckpoint.class),
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

  private static Fence nativeCallsInMapping() {
    return new Fence(
        "native calls only in dev.lionstore.mapping",
        noClasses()
            .that()
            .resideOutsideOfPackage("dev.lionstore.mapping")
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

  /** The root package is left out: it holds the nouns of all rooms and the ways into them. */
  private static Fence noCycles() {
    return new Fence(
        "no cycles",
        slices().matching("dev.lionstore.(*)..").should().beFreeOfCycles(),
        List.of(PlantedInOpencl.class, PlantedInCheckpoint.class));
  }
}
