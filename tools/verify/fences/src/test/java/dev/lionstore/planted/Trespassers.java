package dev.lionstore.planted;

import com.fasterxml.jackson.databind.JsonNode;
import dev.lionstore.crash.PlantedInCrash;
import dev.lionstore.opencl.PlantedInOpencl;
import java.lang.foreign.Linker;
import jdk.incubator.vector.FloatVector;
import net.openhft.chronicle.bytes.Bytes;
import org.bytedeco.javacpp.Pointer;
import org.lwjgl.planted.PlantedBinding;
import picocli.CommandLine;

/** Classes of a package that, like one of core, may use none of these. */
public final class Trespassers {
  private Trespassers() {}

  /** Trespasses. */
  public record UsesVectors(FloatVector forbidden) {}

  /** Trespasses. */
  public record UsesChronicle(Bytes<?> forbidden) {}

  /** Trespasses. */
  public record CallsNative(Linker forbidden) {}

  /** Trespasses. */
  public record UsesLwjgl(PlantedBinding forbidden) {}

  /** Trespasses. */
  public record UsesLibtorch(Pointer forbidden) {}

  /** Trespasses. */
  public record UsesJson(JsonNode forbidden) {}

  /** Trespasses. */
  public record UsesPicocli(CommandLine forbidden) {}

  /** Trespasses. */
  public record UsesOpencl(PlantedInOpencl forbidden) {}

  /** Trespasses. */
  public record UsesVerification(PlantedInCrash forbidden) {}
}
