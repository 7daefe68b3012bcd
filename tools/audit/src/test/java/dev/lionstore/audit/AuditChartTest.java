package dev.lionstore.audit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.lionstore.GradientPlane;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
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
            List.of(AuditedRule.values()),
            Moments.F32,
            GradientPlane.BF16,
            Place.DISK);
    Path png = folder.resolve("audit.png");
    AuditChart.write(audit, png);
    BufferedImage picture = ImageIO.read(png.toFile());
    assertEquals(1400, picture.getHeight());
    int[] parts = {0x1F77B4, 0x9ECAE1, 0xFF7F0E, 0xD62728, 0x2CA02C};
    int[] places = {0x17BECF, 0x9467BD, 0x8C564B};
    for (int color : parts) {
      assertTrue(pixels(picture, color) > 1000, Integer.toHexString(color));
    }
    for (int color : places) {
      assertTrue(pixels(picture, color) > 1000, Integer.toHexString(color));
    }
  }
}
