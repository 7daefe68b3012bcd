package dev.lionstore.cli;

import dev.lionstore.GradientPlane;
import dev.lionstore.Rounding;
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

  /** {@code none}, {@code bf16} or {@code f32}. */
  static final class OfGradientPlane implements ITypeConverter<GradientPlane> {
    @Override
    public GradientPlane convert(String text) {
      return constant(GradientPlane.class, text);
    }
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

  private static String upper(String text) {
    return text.toUpperCase(Locale.ROOT);
  }

  private static <E extends Enum<E>> E constant(Class<E> type, String text) {
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equalsIgnoreCase(text)) {
        return constant;
      }
    }
    throw new TypeConversionException(
        "'"
            + text
            + "' is none of "
            + Arrays.stream(type.getEnumConstants())
                .map(constant -> constant.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.joining(", ")));
  }
}
