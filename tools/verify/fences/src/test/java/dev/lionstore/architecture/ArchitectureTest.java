package dev.lionstore.architecture;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class ArchitectureTest {
  private static final JavaClasses PROJECT =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("dev.lionstore");

  static List<Fence> fences() {
    return Fence.all();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "FormatException",
        "opencl.driver.Device",
        "checkpoint.Snapshot",
        "models.ModelShape",
        "charts.Picture",
        "audit.Audit",
        "trainer.Network",
        "cli.Main",
        "python.Abi",
        "measure.Main",
        "crash.Main"
      })
  void everyModuleIsRead(String type) {
    assertTrue(PROJECT.contain("dev.lionstore." + type), type);
  }

  @ParameterizedTest
  @MethodSource("fences")
  void fenceHolds(Fence fence) {
    fence.rule().check(PROJECT);
  }

  @ParameterizedTest
  @MethodSource("fences")
  void fenceStopsTrespassers(Fence fence) {
    JavaClasses planted = new ClassFileImporter().importClasses(fence.trespassers());
    assertThrows(AssertionError.class, () -> fence.rule().allowEmptyShould(true).check(planted));
  }
}
