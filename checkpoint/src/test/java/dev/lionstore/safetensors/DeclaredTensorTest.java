package dev.lionstore.safetensors;

import static dev.lionstore.safetensors.Fixtures.declared;
import static dev.lionstore.safetensors.Fixtures.message;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.Utf8Order;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Names, sizes and their order. */
class DeclaredTensorTest {
  @Test
  void shouldCountElementsAndBytes() {
    assertEquals(1, declared("s", SafetensorsType.BF16).count());
    assertEquals(2, declared("s", SafetensorsType.BF16).bytes());
    assertEquals(0, declared("e", SafetensorsType.F64, 4L, 0L).bytes());
    assertEquals(3, declared("p", SafetensorsType.F6_E2M3, 4L).bytes());
    assertEquals(1L << 40, declared("l", SafetensorsType.F32, 1L << 20, 1L << 18).bytes());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "\0", "a\0", "__metadata__", "\uD83E", "a\uDD81b"})
  void shouldRefuseANameThatNoFileCanHold(String name) {
    Exception e =
        assertThrows(IllegalArgumentException.class, () -> declared(name, SafetensorsType.U8, 1L));
    assertTrue(message(e).startsWith("name is \""), message(e));
  }

  @Test
  void shouldRefuseShapesWithoutASize() {
    Long[] many = Collections.nCopies(65, 1L).toArray(Long[]::new);
    assertEquals(1, declared("n", SafetensorsType.U8, Arrays.copyOf(many, 64)).count());
    for (Long[] shape :
        List.of(
            many,
            new Long[] {-1L},
            new Long[] {0L, -1L},
            new Long[] {1L << 40, 1L << 40},
            new Long[] {1L << 60})) {
      assertThrows(IllegalArgumentException.class, () -> declared("n", SafetensorsType.U64, shape));
    }
    assertThrows(IllegalArgumentException.class, () -> declared("n", SafetensorsType.F4, 3L));
  }

  @Test
  void shouldRefuseAPlaceThatDoesNotFit() {
    List<Long> two = List.of(2L);
    assertEquals(2, new TensorEntry("n", SafetensorsType.U8, two, 3, 5).bytes());
    for (long[] place :
        new long[][] {{0, 1}, {2, 0}, {-2, 0}, {Long.MAX_VALUE, Long.MIN_VALUE + 1}}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> new TensorEntry("n", SafetensorsType.U8, two, place[0], place[1]));
    }
  }

  @Test
  void shouldKnowTypesByTheirExactName() {
    assertEquals(22, SafetensorsType.values().length);
    for (SafetensorsType type : SafetensorsType.values()) {
      assertEquals(type, SafetensorsType.of(type.name()).orElseThrow());
      assertTrue(SafetensorsType.of(type.name() + " ").isEmpty());
    }
    assertEquals(4, SafetensorsType.F4.bits());
    assertEquals(64, SafetensorsType.C64.bits());
  }

  @Test
  void shouldOrderNamesByTheirUtf8Bytes() {
    long seed = System.nanoTime();
    System.out.println("shouldOrderNamesByTheirUtf8Bytes: seed " + seed);
    Random random = new Random(seed);
    int[] points = {
      0, 'a', 'b', 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF
    };
    List<String> names = new ArrayList<>();
    for (int i = 0; i < 500; i++) {
      StringBuilder name = new StringBuilder();
      for (int size = random.nextInt(4); size > 0; size--) {
        name.appendCodePoint(points[random.nextInt(points.length)]);
      }
      names.add(name.toString());
    }
    for (String a : names) {
      for (String b : names) {
        int bytes = Arrays.compareUnsigned(utf8(a), utf8(b));
        assertEquals(Integer.signum(bytes), Integer.signum(Utf8Order.COMPARATOR.compare(a, b)));
      }
    }
    assertTrue("\uFFFF".compareTo("\uD83E\uDD81") > 0, "here String.compareTo differs");
    assertTrue(Utf8Order.COMPARATOR.compare("\uFFFF", "\uD83E\uDD81") < 0);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../x.safetensors",
        "/x.safetensors",
        "a/x.safetensors",
        "..\\x.safetensors",
        "C:x.safetensors",
        "x\0.safetensors",
        "",
        ".",
        "..",
        "x.bin",
        "x.safetensors/",
        "x.safetensors/..",
        "./x.safetensors",
        "//x.safetensors",
        "\uD83E.safetensors"
      })
  void shouldRefuseAShardNameThatIsNoPlainFileName(String name) {
    assertFalse(Names.isShardName(name));
    assertTrue(Names.isShardName("model-00001-of-00002.safetensors"));
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
