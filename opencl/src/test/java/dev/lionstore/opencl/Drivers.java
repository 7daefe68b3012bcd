package dev.lionstore.opencl;

import dev.lionstore.opencl.driver.Device;
import dev.lionstore.opencl.driver.Devices;
import dev.lionstore.opencl.driver.Library;
import java.util.List;

/** The OpenCL implementations that tests need; one that is missing fails its tests. */
final class Drivers {
  /** The CPU's, which conforms. */
  static final String POCL = "Portable Computing Language";

  /** Mesa's on llvmpipe, which flushes subnormals. */
  static final String RUSTICL = "rusticl";

  private Drivers() {}

  /** The first device of a platform. */
  static Device device(String platform) {
    List<Device> all = Devices.list();
    return all.stream()
        .filter(device -> device.identity().platform().equals(platform))
        .findFirst()
        .orElseThrow(() ->
            new AssertionError(
                "there is no device of "
                    + platform
                    + ", only "
                    + all
                    + "; tools/bin/verify installs what tests need ("
                    + Library.missing().orElse("the loader is there")
                    + ")"));
  }
}
