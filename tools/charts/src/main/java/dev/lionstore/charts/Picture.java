package dev.lionstore.charts;

import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendPosition;

/** A chart in the project's style, as a PNG file. */
public final class Picture {
  private static final int WIDTH = 1200;
  private static final int HEIGHT = 720;
  private static final Color GRID = new Color(0xE5, 0xE5, 0xE5);

  private Picture() {}

  /** An empty chart. */
  public static XYChart chart(String title, String xAxis, String yAxis) {
    headless();
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle(xAxis)
            .yAxisTitle(yAxis)
            .build();
    chart
        .getStyler()
        .setLegendPosition(LegendPosition.InsideNE)
        .setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 16))
        .setLegendBorderColor(GRID)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 20))
        .setChartBackgroundColor(Color.WHITE)
        .setPlotBackgroundColor(Color.WHITE);
    chart
        .getStyler()
        .setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 17))
        .setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 12))
        .setPlotGridLinesColor(GRID)
        .setPlotBorderVisible(false)
        .setMarkerSize(7);
    return chart;
  }

  private static void headless() {
    System.setProperty("java.awt.headless", "true");
  }

  /**
   * Draws a chart into a PNG file; an existing one is replaced.
   *
   * @throws IOException if the file cannot be written or this machine cannot draw, with what it
   *     lacks
   */
  public static void write(XYChart chart, Path png) throws IOException {
    write(png, WIDTH, HEIGHT, graphics -> chart.paint(graphics, WIDTH, HEIGHT));
  }

  /**
   * Draws into a PNG file; an existing one is replaced.
   *
   * @param width in pixels, as the height
   * @throws IOException if the file cannot be written or this machine cannot draw, with what it
   *     lacks
   */
  public static void write(Path png, int width, int height, Painter painter) throws IOException {
    headless();
    requirePlace(png);
    BufferedImage picture = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    paint(picture, png, painter);
    Path beside = beside(png);
    try (OutputStream out = Files.newOutputStream(beside)) { // ImageIO would not say what failed
      ImageIO.write(picture, "png", out);
    }
    Files.move(beside, png, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }

  /**
   * Finds out whether a picture could be written, before the work that it will show.
   *
   * @throws IOException as {@link #write}
   */
  public static void requireWritable(Path png) throws IOException {
    headless();
    requirePlace(png);
    BufferedImage picture = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB);
    paint(picture, png, graphics -> graphics.drawString("0", 0, 0));
    Path folder = png.toAbsolutePath().getParent();
    if (folder != null && !Files.isWritable(folder)) {
      throw new AccessDeniedException(folder.toString());
    }
  }

  private static void requirePlace(Path png) throws IOException {
    if (Files.isDirectory(png)) {
      throw new FileSystemException(
          png.toString(),
          null,
          "is a folder; name the picture's file, for instance FOLDER/picture.png");
    }
    Path folder = png.toAbsolutePath().getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw new FileSystemException(png.toString(), null, "no such folder to draw into; make it");
    }
  }

  private static Path beside(Path png) {
    return png.resolveSibling(png.getFileName() + ".new");
  }

  /** Draws a picture. */
  public interface Painter {
    /** Does so. */
    void paint(Graphics2D graphics);
  }

  private static void paint(BufferedImage picture, Path png, Painter painter) throws IOException {
    Graphics2D graphics = picture.createGraphics();
    try {
      painter.paint(graphics);
    } catch (VirtualMachineError e) {
      throw e;
    } catch (Error | RuntimeException e) {
      // The JDK draws text through the system's fontconfig, which a bare container lacks. It says
      // so with a plain Error or a RuntimeException, as the JDK's sun.font does at its pleasure.
      throw new IOException(
          png + ": cannot draw text here, install libfontconfig1 and fonts-dejavu-core (Debian)",
          e);
    } finally {
      graphics.dispose();
    }
  }
}
