package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.UpdateRules;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.ToLongFunction;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AuditChartTest {
  @TempDir private Path folder;

  private static long pixels(BufferedImage picture, int color) {
    long count = 0;
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        count += (picture.getRGB(x, y) & 0xFFFFFF) == color ? 1 : 0;
      }
    }
    return count;
  }

  @Test
  void everyPartAndPlaceHasBars() throws IOException {
    Audit audit =
        Audit.of(
            AuditedModel.ofCount("7e9", 7_000_000_000L),
            List.of(
                TensorRules.of(UpdateRules.LION), TensorRules.of(UpdateRules.required("adamw"))),
            GradientPlane.BF16,
            Place.DISK);
    Path png = folder.resolve("audit.png");
    AuditChart.write(audit, png);
    BufferedImage picture = ImageIO.read(png.toFile());
    assertEquals(1400, picture.getHeight());
    assertInProportion(picture, 0xFF7F0E, sum(audit, f -> f.of(Part.MOMENTUM)), audit);
    assertInProportion(picture, 0xD62728, sum(audit, f -> f.of(Part.SECOND_MOMENT)), audit);
    assertInProportion(picture, 0x9ECAE1, sum(audit, f -> f.of(Part.MASTER)), audit);
    assertInProportion(picture, 0x2CA02C, sum(audit, f -> f.of(Part.GRADIENTS)), audit);
    assertInProportion(picture, 0x17BECF, sum(audit, f -> f.at(Place.HOST)), audit);
    assertInProportion(picture, 0x9467BD, sum(audit, f -> f.at(Place.GPU)), audit);
    assertInProportion(picture, 0x8C564B, sum(audit, f -> f.at(Place.DISK)), audit);
  }

  /** All bars are equally wide, so their areas are as the bytes; the weights' are the measure. */
  private static void assertInProportion(
      BufferedImage picture, int color, long bytes, Audit audit) {
    double share = (double) pixels(picture, color) / pixels(picture, 0x1F77B4);
    double expected = (double) bytes / sum(audit, f -> f.of(Part.WEIGHTS));
    assertEquals(1, share / expected, 0.1, Integer.toHexString(color));
  }

  private static long sum(Audit audit, ToLongFunction<Footprint> bytes) {
    return audit.footprints().stream().mapToLong(bytes).sum();
  }
}
