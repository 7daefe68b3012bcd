package dev.lionstore.store.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.lionstore.ElementType;
import dev.lionstore.FormatException;
import dev.lionstore.GradientPlane;
import dev.lionstore.ParameterGroup;
import dev.lionstore.Rounding;
import dev.lionstore.TensorSpec;
import dev.lionstore.rule.Plane;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.state.StoreLayout;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where tensors are in planes, and how a layout is written down. */
class GeometryTest {
  private static final Plane MOMENTUM = UpdateRules.required("adamw").statePlanes().get(0);
  private static final Plane SECOND = UpdateRules.required("adamw").statePlanes().get(1);
  private static final Plane GRADIENT = Plane.gradient(ElementType.F32);

  @TempDir private Path folder;

  private static StoreLayout layout(String rule, Map<String, String> groupRules) {
    StoreLayout layout =
        new StoreLayout(
            UpdateRules.required(rule),
            Rounding.STOCHASTIC,
            7,
            GradientPlane.F32,
            List.of(
                ParameterGroup.ofDefaults(),
                new ParameterGroup("norms", 0.5, OptionalDouble.of(0)),
                new ParameterGroup("plain", 1, OptionalDouble.empty())),
            List.of(
                tensor("a", "default", 100, TensorSpec.Role.TRAINABLE),
                tensor("b", "norms", 65, TensorSpec.Role.TRAINABLE),
                tensor("c", "plain", 64, TensorSpec.Role.TRAINABLE),
                tensor("d", "norms", 5, TensorSpec.Role.FROZEN),
                tensor("e", "norms", 0, TensorSpec.Role.TRAINABLE),
                tensor("f", "norms", 1, TensorSpec.Role.TRAINABLE),
                tensor("g", "default", 1, TensorSpec.Role.TRAINABLE)));
    for (Map.Entry<String, String> group : groupRules.entrySet()) {
      layout = layout.withRule(group.getKey(), UpdateRules.required(group.getValue()));
    }
    return layout;
  }

  private static TensorSpec tensor(String name, String group, long count, TensorSpec.Role role) {
    return new TensorSpec(name, List.of(count), group, role);
  }

  private static List<Long> places(Geometry geometry, Plane plane, int... tensors) {
    return IntStream.of(tensors).mapToObj(t -> geometry.firstElement(plane, t)).toList();
  }

  @Test
  void planesAreDenseOverTheTensorsThatHaveThem() {
    StoreLayout layout = layout("lion-f32", Map.of("norms", "adamw", "plain", "sgd"));
    Geometry geometry = new Geometry(layout, 256);
    assertEquals(List.of(0L, 128L, 256L, 320L, 320L, 384L), trained(geometry, Plane.WEIGHTS));
    assertEquals(448, geometry.firstElement(Plane.REMAINDER, 3), "frozen");
    assertEquals(512, geometry.elements(Plane.WEIGHTS));
    assertEquals(trained(geometry, Plane.WEIGHTS), trained(geometry, GRADIENT));
    assertEquals(448, geometry.elements(GRADIENT));
    assertEquals(List.of(0L, 128L, 256L, 256L, 320L), places(geometry, MOMENTUM, 0, 1, 4, 5, 6));
    assertEquals(384, geometry.elements(MOMENTUM));
    assertEquals(List.of(0L, 128L, 128L), places(geometry, SECOND, 1, 4, 5));
    assertEquals(192, geometry.elements(SECOND));
  }

  private static List<Long> trained(Geometry geometry, Plane plane) {
    return places(geometry, plane, 0, 1, 2, 4, 5, 6);
  }

  @Test
  void planesOfOneRuleAreAlike() {
    Geometry geometry = new Geometry(layout("adamw", Map.of()), 256);
    for (Plane plane : List.of(Plane.REMAINDER, MOMENTUM, SECOND, GRADIENT)) {
      assertEquals(trained(geometry, Plane.WEIGHTS), trained(geometry, plane));
    }
    assertEquals(448, geometry.elements(SECOND));
  }

  @Test
  void aLayoutWithGroupRulesIsReadAsItWasWritten() throws IOException {
    StoreLayout layout = layout("lion-f32", Map.of("norms", "adamw", "plain", "sgd"));
    LayoutFile written = new LayoutFile(new UUID(1, 2), layout, 256, 100);
    written.write(folder);
    assertEquals(written, LayoutFile.read(folder));
    assertEquals(2, version());
    assertEquals(written.crc(), LayoutFile.read(folder).crc());
  }

  /** The version is that of 0.1, and the checksum what 0.1 wrote. */
  @Test
  void aLayoutOfOneKnownRuleIsWrittenAsBefore() throws IOException {
    LayoutFile written = new LayoutFile(new UUID(1, 2), layout("adamw", Map.of()), 256, 100);
    written.write(folder);
    assertEquals(1, version());
    assertEquals(OLD_CRC, written.crc());
    assertEquals(
        Map.of(
            "header", 2L * 4096,
            "progress", 4096 + 128 * 4096L + 4096,
            "weights.plane", 8192L,
            "remainder.plane", 8192L,
            "momentum.plane", 8192L,
            "second-moment.plane", 12288L,
            "gradient.plane", 8192L),
        StoreFiles.sizes(written));
  }

  private static final int OLD_CRC = 986114230;

  private int version() throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(folder.resolve(LayoutFile.NAME))).getInt(8);
  }

  @Test
  void shouldRefuseALayoutThatGivesAGroupTwoRules() throws IOException {
    StoreLayout layout = layout("lion-f32", Map.of("norms", "adamw", "plain", "sgd"));
    new LayoutFile(new UUID(1, 2), layout, 256, 100).write(folder);
    Path file = folder.resolve(LayoutFile.NAME);
    byte[] bytes = Files.readAllBytes(file);
    int plain = indexOf(bytes, "plain");
    System.arraycopy("norms".getBytes(java.nio.charset.StandardCharsets.UTF_8), 0, bytes, plain, 5);
    CRC32C crc = new CRC32C();
    crc.update(bytes, 16, bytes.length - 16);
    ByteBuffer.wrap(bytes).putInt(12, (int) crc.getValue());
    Files.write(file, bytes);
    FormatException refused = assertThrows(FormatException.class, () -> LayoutFile.read(folder));
    assertEquals(file + ": malformed: group norms has two rules", refused.getMessage());
  }

  private static int indexOf(byte[] bytes, String text) {
    return new String(bytes, java.nio.charset.StandardCharsets.ISO_8859_1).indexOf(text);
  }
}
