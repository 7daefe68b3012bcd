package dev.lionstore.cli;

import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFileVersion;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassModel;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeTransform;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collections;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;

/**
 * Brings a library's class files from before Java 6 to the form of Java 8, as a compiler would:
 * with stack maps. The JVM verifies the old form slowly, at every start, and keeps no such class in
 * its archive.
 */
final class StackMaps {
  private static final int FIRST_WITH_THEM = ClassFile.JAVA_6_VERSION;

  private StackMaps() {}

  /**
   * Replaces a jar by one without old class files.
   *
   * @param arguments the jar, on the class path and not signed
   * @throws IOException if it cannot be read or replaced; it is then as it was
   */
  public static void main(String[] arguments) throws IOException {
    Path jar = Path.of(arguments[0]);
    Path rewritten = jar.resolveSibling(jar.getFileName() + ".new");
    try (JarFile from = new JarFile(jar.toFile());
        JarOutputStream to = new JarOutputStream(Files.newOutputStream(rewritten))) {
      ClassFile files = classFile();
      for (JarEntry entry : Collections.list(from.entries())) {
        JarEntry copy = new JarEntry(entry.getName());
        copy.setTime(entry.getTime());
        to.putNextEntry(copy);
        byte[] bytes = read(from, entry);
        to.write(entry.getName().endsWith(".class") ? upgraded(files, bytes) : bytes);
      }
    }
    Files.move(rewritten, jar, StandardCopyOption.ATOMIC_MOVE);
  }

  /** What finds the types that stack maps name: on this program's class path. */
  private static ClassFile classFile() {
    return ClassFile.of(
        ClassFile.StackMapsOption.GENERATE_STACK_MAPS,
        ClassFile.ClassHierarchyResolverOption.of(
            ClassHierarchyResolver.ofResourceParsing(ClassLoader.getSystemClassLoader())
                .orElse(ClassHierarchyResolver.defaultResolver())));
  }

  private static byte[] read(JarFile jar, JarEntry entry) throws IOException {
    try (InputStream in = jar.getInputStream(entry)) {
      return in.readAllBytes();
    }
  }

  private static byte[] upgraded(ClassFile files, byte[] bytes) {
    ClassModel model = files.parse(bytes);
    if (model.majorVersion() >= FIRST_WITH_THEM) {
      return bytes;
    }
    return files.transformClass(
        model,
        ClassTransform.transformingMethodBodies(CodeTransform.ACCEPT_ALL)
            .andThen((builder, element) -> {
              if (element instanceof ClassFileVersion) {
                builder.withVersion(ClassFile.JAVA_8_VERSION, 0);
              } else {
                builder.with(element);
              }
            }));
  }
}
