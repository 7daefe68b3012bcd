package dev.lionstore.measure.device;

import java.nio.file.Path;
import java.time.Duration;

/**
 * What {@link DeviceBenchmark} is called with.
 *
 * @param device an index or a part of a name; empty for the first one
 * @param parameters how many there are
 * @param pairs of measurements per row
 * @param warmUp how long each row is repeated before it is measured, at least
 * @param directory where stores lie
 * @param python the interpreter that may have PyTorch
 */
record DeviceBenchmarkOptions(
    String device, long parameters, int pairs, Duration warmUp, Path directory, String python) {}
