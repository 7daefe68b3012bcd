package dev.lionstore.opencl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kernels under Oclgrind, which sees every access of every work-item. */
class OclgrindTest {
  /** Memory that a device is given in place counts as not initialised there. */
  @ParameterizedTest
  @CsvSource({
    "lion, STREAMING, --uninitialized",
    "lion-8bit, STREAMING, --uninitialized",
    "rprop, SAVING, --data-races",
    "adamw-8bit, SAVING, --data-races"
  })
  void noKernelRacesOrReadsOrWritesWhereItMayNot(String rule, DeviceSteps.Way way, String check)
      throws IOException, InterruptedException {
    String root = System.getProperty("lionstore.root", "");
    List<String> command =
        List.of(
            "oclgrind",
            "--check-api",
            "--data-races",
            check,
            Path.of(System.getProperty("java.home", ""), "bin", "java").toString(),
            "@" + root + "/tools/bin/jvm.options",
            "--add-modules=jdk.incubator.vector",
            "-cp",
            System.getProperty("java.class.path", ""),
            OclgrindMain.class.getName(),
            way.name(),
            rule);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    List<String> lines = said.lines().filter(line -> !line.contains("incubator modules")).toList();
    assertEquals(2, lines.size(), said);
    assertTrue(lines.getFirst().contains("Oclgrind"), said);
    assertEquals(OclgrindMain.EQUAL, lines.getLast(), said);
  }
}
