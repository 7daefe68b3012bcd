package dev.lionstore.architecture;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.lionstore.FormatException;
import dev.lionstore.cli.Main;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ArchitectureTest {
  private static final JavaClasses PROJECT =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("dev.lionstore");

  static List<Fence> fences() {
    return Fence.all();
  }

  @Test
  void projectIsRead() {
    assertTrue(PROJECT.contain(Main.class), "tools");
    assertTrue(PROJECT.contain(FormatException.class), "core");
  }

  @ParameterizedTest
  @MethodSource("fences")
  void fenceHolds(Fence fence) {
    // A room may be built after its fence.
    fence.rule().allowEmptyShould(true).check(PROJECT);
  }

  @ParameterizedTest
  @MethodSource("fences")
  void fenceStopsTrespassers(Fence fence) {
    JavaClasses planted = new ClassFileImporter().importClasses(fence.trespassers());
    assertThrows(AssertionError.class, () -> fence.rule().allowEmptyShould(true).check(planted));
  }
}
