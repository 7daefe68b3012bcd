package dev.lionstore.pictures;

import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.function.Consumer;
import javax.imageio.ImageIO;

/** Draws into PNG files. */
public final class Picture {
  private Picture() {}

  /**
   * Draws into a PNG file; an existing one is replaced, in one go.
   *
   * @param width in pixels
   * @param height in pixels
   * @throws IOException if the file cannot be written or this machine cannot draw, with what it
   *     lacks
   */
  public static void write(Path png, int width, int height, Consumer<Graphics2D> drawing)
      throws IOException {
    requirePlace(png);
    System.setProperty("java.awt.headless", "true");
    BufferedImage picture = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = picture.createGraphics();
    try {
      drawing.accept(graphics);
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
    Path beside = png.resolveSibling(png.getFileName() + ".new");
    try (OutputStream out = Files.newOutputStream(beside)) { // ImageIO would not say what failed
      ImageIO.write(picture, "png", out);
    }
    Files.move(beside, png, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
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
}
