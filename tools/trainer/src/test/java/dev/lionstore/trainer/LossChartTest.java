package dev.lionstore.trainer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LossChartTest {
  @TempDir private Path folder;

  private static List<LossCurve.Row> rows(int count, int evaluatedEvery) {
    List<LossCurve.Row> rows = new ArrayList<>();
    for (int step = 0; step < count; step++) {
      double trend = 2.4 + 5.6 * Math.exp(-step / 90.0);
      OptionalDouble heldOut =
          step % evaluatedEvery == 0 ? OptionalDouble.of(trend + 0.1) : OptionalDouble.empty();
      double noise = 0.3 * (SplitMix.drawUnit(1, step) - 0.5);
      rows.add(
          new LossCurve.Row(
              step, OptionalDouble.of(trend + noise), heldOut, 20_000, 51, OptionalDouble.empty()));
    }
    return rows;
  }

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
  void drawsBothCurvesIntoAPngFile() throws IOException {
    Path png = folder.resolve("loss.png");
    Files.writeString(png, "an older picture");
    LossChart.write(rows(1_000, 100), "Lion, 869,504 parameters", png);
    BufferedImage picture = ImageIO.read(png.toFile());
    assertEquals(1200, picture.getWidth());
    assertTrue(pixels(picture, 0x1F77B4) > 500, "training curve");
    assertTrue(pixels(picture, 0xD62728) > 500, "held-out curve");
    try (var files = Files.list(folder)) {
      assertEquals(List.of(png), files.toList());
    }
  }

  @Test
  void drawsARunOfOneStep() throws IOException {
    Path png = folder.resolve("loss.png");
    LossChart.write(rows(1, 1), "one step", png);
    assertEquals(720, ImageIO.read(png.toFile()).getHeight());
  }

  /** Draws and prints what went wrong. */
  static final class Probe {
    public static void main(String[] arguments) {
      try {
        LossChart.write(rows(9, 3), "no fonts", Path.of(arguments[0]));
      } catch (IOException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  @Test
  void saysWhatToInstallWhereThereAreNoFonts() throws Exception {
    Path configuration = folder.resolve("fonts.conf");
    Files.writeString(configuration, "<?xml version=\"1.0\"?><fontconfig></fontconfig>");
    // The JDK remembers fonts in the home folder, hence another one.
    ChildJvm bare =
        new ChildJvm(
            List.of("-Duser.home=" + folder), Map.of("FONTCONFIG_FILE", configuration.toString()));
    Path png = folder.resolve("loss.png");
    assertEquals(
        png + ": cannot draw text here, install libfontconfig1 and fonts-dejavu-core (Debian)",
        bare.run(Probe.class, png.toString()));
  }

  @Test
  void saysThatThereIsNothingToDraw() {
    Path png = folder.resolve("loss.png");
    IOException refused =
        assertThrows(IOException.class, () -> LossChart.write(List.of(), "empty", png));
    assertEquals(png + ": no steps to draw yet", refused.getMessage());
  }
}
