package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
import dev.lionstore.audit.LionSettings;
import dev.lionstore.audit.Place;
import dev.lionstore.checkpoint.ModelExport;
import dev.lionstore.checkpoint.Snapshot;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.kernel.DeviceOptions;
import dev.lionstore.rule.RuleSource;
import dev.lionstore.rule.StateType;
import dev.lionstore.rule.UpdateRule;
import dev.lionstore.state.StoreLayout;
import dev.lionstore.store.PlaneAccess;
import dev.lionstore.store.StoreReader;
import dev.lionstore.trainer.LearningRateSchedule;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * What options' values are read with; a wrong value is a usage error that says what is expected.
 */
final class Converters {
  private Converters() {}

  /** {@code nearest} or {@code stochastic}. */
  static final class OfRounding implements ITypeConverter<Rounding> {
    @Override
    public Rounding convert(String text) {
      return constant(Rounding.class, text);
    }
  }

  /** {@code auto}, {@code mapped} or {@code direct}. */
  static final class OfPlaneAccess implements ITypeConverter<PlaneAccess> {
    @Override
    public PlaneAccess convert(String text) {
      return constant(PlaneAccess.class, text);
    }
  }

  /** What follows a warm-up. */
  static final class OfScheduleShape implements ITypeConverter<LearningRateSchedule.Shape> {
    @Override
    public LearningRateSchedule.Shape convert(String text) {
      return constant(LearningRateSchedule.Shape.class, text);
    }
  }

  /** {@code none}, {@code bf16} or {@code f32}. */
  static final class OfGradientPlane implements ITypeConverter<GradientPlane> {
    @Override
    public GradientPlane convert(String text) {
      return constant(GradientPlane.class, text);
    }
  }

  /** {@code f32}, {@code f16} or {@code bf16}. */
  static final class OfForm implements ITypeConverter<ModelExport.Form> {
    @Override
    public ModelExport.Form convert(String text) {
      return switch (text.toLowerCase(Locale.ROOT)) {
        case "f32" -> ModelExport.Form.MASTER;
        case "f16" -> ModelExport.Form.HALF;
        case "bf16" -> ModelExport.Form.WEIGHTS;
        default -> throw new TypeConversionException("'" + text + "' is none of f32, f16, bf16");
      };
    }
  }

  /** {@code language} or {@code other}. */
  static final class OfTask implements ITypeConverter<LionSettings.Task> {
    @Override
    public LionSettings.Task convert(String text) {
      return constant(LionSettings.Task.class, text);
    }
  }

  /** {@code bf16}, {@code f32} or {@code 8bit}. */
  static final class OfMoments implements ITypeConverter<StateType> {
    @Override
    public StateType convert(String text) {
      return Arrays.stream(StateType.values())
          .filter(type -> type.word().equals(text.toLowerCase(Locale.ROOT)))
          .findFirst()
          .orElseThrow(
              () -> new TypeConversionException("'" + text + "' is none of bf16, f32, 8bit"));
    }
  }

  /** {@code ram} or {@code disk}. */
  static final class OfStorePlace implements ITypeConverter<Place> {
    @Override
    public Place convert(String text) {
      return switch (text.toLowerCase(Locale.ROOT)) {
        case "ram" -> Place.HOST;
        case "disk" -> Place.DISK;
        default -> throw new TypeConversionException("'" + text + "' is none of ram, disk");
      };
    }
  }

  /** {@code auto}, {@code in-place}, {@code streaming} or {@code resident}. */
  static final class OfDeviceMemory implements ITypeConverter<DeviceOptions.Memory> {
    @Override
    public DeviceOptions.Memory convert(String text) {
      return constant(DeviceOptions.Memory.class, text);
    }
  }

  /** A path; an empty one would mean the working folder without anybody having said so. */
  static final class OfPath implements ITypeConverter<Path> {
    @Override
    public Path convert(String text) {
      if (text.isBlank()) {
        throw new TypeConversionException("the path is empty");
      }
      try {
        return Path.of(text);
      } catch (InvalidPathException e) {
        throw new TypeConversionException("'" + text + "' is no path: " + e.getReason());
      }
    }
  }

  /** A number as people write it: Java's suffixes, hexadecimal and words are none. */
  static final class OfDouble implements ITypeConverter<Double> {
    private static final Pattern NUMBER =
        Pattern.compile("[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][-+]?[0-9]+)?");

    @Override
    public Double convert(String text) {
      double value = NUMBER.matcher(text).matches() ? Double.parseDouble(text) : Double.NaN;
      if (!Double.isFinite(value)) {
        throw new TypeConversionException(
            "'" + text + "' is no finite number, expected for instance 0.1 or 1e-4");
      }
      return value;
    }
  }

  /** A whole number of 32 bits. */
  static final class OfInt implements ITypeConverter<Integer> {
    @Override
    public Integer convert(String text) {
      return Math.toIntExact(whole(text, Integer.MIN_VALUE, Integer.MAX_VALUE));
    }
  }

  /** A whole number of 64 bits. */
  static final class OfLong implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      return whole(text, Long.MIN_VALUE, Long.MAX_VALUE);
    }
  }

  /** How many: a whole number from 1. One that is larger than there can be of anything will do. */
  static final class OfCount implements ITypeConverter<Integer> {
    private static final Pattern COUNT = Pattern.compile("0*[1-9][0-9]*");

    @Override
    public Integer convert(String text) {
      if (!COUNT.matcher(text).matches()) {
        throw new TypeConversionException("'" + text + "' is no whole number from 1");
      }
      return new BigInteger(text).min(BigInteger.valueOf(Integer.MAX_VALUE)).intValueExact();
    }
  }

  private static long whole(String text, long low, long high) {
    try {
      long value = Long.parseLong(text);
      if (value >= low && value <= high) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Said below, with the bounds.
    }
    throw new TypeConversionException(
        "'" + text + "' is no whole number from " + low + " to " + high);
  }

  /** A regular expression. */
  static final class OfPattern implements ITypeConverter<Pattern> {
    @Override
    public Pattern convert(String text) {
      try {
        return Pattern.compile(text);
      } catch (PatternSyntaxException e) {
        throw new TypeConversionException(
            "'" + text + "' is no regular expression: " + e.getDescription());
      }
    }
  }

  /** A size in bytes: a number, and perhaps KB, MB, GB, TB or KiB, MiB, GiB, TiB. */
  static final class OfBytes implements ITypeConverter<Long> {
    private static final Pattern SIZE =
        Pattern.compile("([0-9]{1,18})\\s*([KMGT]?)(i?)B?", Pattern.CASE_INSENSITIVE);

    @Override
    public Long convert(String text) {
      Matcher size = SIZE.matcher(text);
      if (size.matches()) {
        long unit = size.group(3).isEmpty() ? 1000 : 1024;
        int power = size.group(2).isEmpty() ? 0 : 1 + "KMGT".indexOf(upper(size.group(2)));
        long factor = 1;
        for (int i = 0; i < power; i++) {
          factor *= unit;
        }
        long bytes = Math.multiplyHigh(Long.parseLong(size.group(1)), factor);
        long low = Long.parseLong(size.group(1)) * factor;
        if (bytes == 0 && low > 0) {
          return low;
        }
      }
      throw new TypeConversionException("'" + text + "' is no size, expected for instance 5GB");
    }
  }

  /** A size in bytes, or 0. */
  static final class OfBytesOrNone implements ITypeConverter<Long> {
    @Override
    public Long convert(String text) {
      return text.equals("0") ? Long.valueOf(0) : new OfBytes().convert(text);
    }
  }

  private static String upper(String text) {
    return text.toUpperCase(Locale.ROOT);
  }

  private static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  private static <E extends Enum<E>> E constant(Class<E> type, String text) {
    for (E constant : type.getEnumConstants()) {
      if (word(constant).equalsIgnoreCase(text)) {
        return constant;
      }
    }
    throw new TypeConversionException(
        "'"
            + text
            + "' is none of "
            + Arrays.stream(type.getEnumConstants())
                .map(Converters::word)
                .collect(Collectors.joining(", ")));
  }

  /** An update rule in the box by its name, or a user's own by its file. */
  static final class OfRule implements ITypeConverter<UpdateRule> {
    @Override
    public UpdateRule convert(String text) {
      return source(text).rule();
    }
  }

  /** {@code REGEX=NAME|FILE}; a rule's name and most files' have no =, but an expression may. */
  static final class OfRuleFor implements ITypeConverter<TensorRules.ByName> {
    @Override
    public TensorRules.ByName convert(String text) {
      int equals = text.lastIndexOf('=');
      if (equals < 1 || equals == text.length() - 1) {
        throw new TypeConversionException(
            "'" + text + "', expected REGEX=RULE, for instance '.*norm.*=adamw'");
      }
      return new TensorRules.ByName(
          new OfPattern().convert(text.substring(0, equals)),
          source(text.substring(equals + 1)).rule());
    }
  }

  /** The same with its text, or all those of a store or a snapshot. */
  static final class OfNamedRules implements ITypeConverter<RuleArgument.Named> {
    @Override
    public RuleArgument.Named convert(String text) throws IOException {
      Path path = new OfPath().convert(text);
      if (StoreReader.isStore(path)) {
        StoreLayout layout = Source.onStore(path, () -> StoreReader.layoutOf(path));
        return RuleArgument.Named.of(layout, text);
      }
      if (Snapshot.isSnapshot(path)) {
        try (Snapshot snapshot = SnapshotSource.open(path)) {
          return RuleArgument.Named.of(snapshot.layout(), text);
        }
      }
      return RuleArgument.Named.of(source(text));
    }
  }

  private static RuleSource source(String text) {
    try {
      return RuleSource.of(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(e.getMessage());
    }
  }

  /** A hyperparameter: {@code NAME=X}. */
  static final class OfSetting implements ITypeConverter<RuleOptions.Setting> {
    @Override
    public RuleOptions.Setting convert(String text) {
      int equals = text.indexOf('=');
      if (equals < 1 || text.charAt(equals - 1) == '.') {
        throw new TypeConversionException(
            "'" + text + "', expected NAME=X, for instance beta1=0.9, or GROUP.NAME=X");
      }
      double value = new OfDouble().convert(text.substring(equals + 1));
      return new RuleOptions.Setting(text.substring(0, equals), value);
    }
  }
}
