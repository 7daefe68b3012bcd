package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceLoader;
import java.util.stream.Collectors;

/** Chooses the kernel for a rule. */
public final class Kernels {
  /** The backend name that lets the project choose. */
  public static final String AUTO = "auto";

  private Kernels() {}

  /**
   * A choice and why.
   *
   * @param kernel what was chosen
   * @param reason why, in a sentence for the user
   */
  public record Selection(Kernel kernel, String reason) {}

  /**
   * The kernel that the user asked for; only {@link #AUTO} chooses among those that are there.
   *
   * @throws IllegalArgumentException if the backend is not there or lacks the rule
   */
  public static Selection select(String backend, UpdateRule rule) {
    List<KernelProvider> providers = providers();
    return providers.stream()
        .filter(provider -> backend.equals(AUTO) || provider.backend().equals(backend))
        .flatMap(provider ->
            provider.kernelFor(rule).stream()
                .map(kernel -> backend.equals(AUTO) ? warming(provider, kernel) : kernel)
                .map(kernel -> new Selection(kernel, provider.reason())))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "backend "
                    + backend
                    + " does not offer rule "
                    + rule.name()
                    + " here; "
                    + "there are "
                    + AUTO
                    + ", "
                    + words(providers)));
  }

  private static Kernel warming(KernelProvider provider, Kernel kernel) {
    return provider.needsWarmUp() ? new WarmingKernel(kernel, provider) : kernel;
  }

  private static List<KernelProvider> providers() {
    return ServiceLoader.load(KernelProvider.class, Kernels.class.getClassLoader()).stream()
        .map(ServiceLoader.Provider::get)
        .sorted(Comparator.comparingInt(KernelProvider::preference).reversed())
        .toList();
  }

  private static String words(List<KernelProvider> providers) {
    return providers.stream()
        .map(provider -> provider.backend() + " (" + provider.reason() + ")")
        .collect(Collectors.joining(", "));
  }
}
