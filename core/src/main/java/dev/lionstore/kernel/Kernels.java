package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
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
  public record Selection(Kernel kernel, String reason) {
    /** The same with more of a reason, if there is more. */
    public Selection with(String more) {
      return more.isEmpty() ? this : new Selection(kernel, reason + "; " + more);
    }
  }

  /** As {@link #select(String, UpdateRule, DeviceOptions)} with its defaults. */
  public static Selection select(String backend, UpdateRule rule) {
    return select(backend, rule, DeviceOptions.defaults());
  }

  /**
   * Opens the kernel that the user asked for; only {@link #AUTO} chooses among those that are
   * there.
   *
   * @param backend its name, and after a colon that of the device, if it has several
   * @return who gets it closes it
   * @throws IllegalArgumentException if the backend or the device is not there, lacks the rule, or
   *     is refused
   */
  public static Selection select(String backend, UpdateRule rule, DeviceOptions options) {
    List<KernelProvider> providers = providers();
    int colon = backend.indexOf(':');
    String name = colon < 0 ? backend : backend.substring(0, colon);
    DeviceRequest device =
        new DeviceRequest(colon < 0 ? "" : backend.substring(colon + 1), options);
    return providers.stream()
        .filter(provider -> backend.equals(AUTO) || provider.backend().equals(name))
        .filter(provider -> colon < 0 || provider.hasDevices())
        .flatMap(provider ->
            provider.open(rule, device).stream()
                .map(found -> backend.equals(AUTO) ? warming(provider, found) : found))
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

  /**
   * The same for a store of any number of rules.
   *
   * @throws IllegalArgumentException also if a device keeps the state, and there are several
   */
  public static Selection select(String backend, StoreRules rules, DeviceOptions options) {
    List<Selection> selected = new ArrayList<>();
    try {
      for (UpdateRule rule : rules.elements().keySet()) {
        selected.add(select(backend, rule, options));
      }
    } catch (RuntimeException | Error e) {
      selected.forEach(each -> each.kernel().close());
      throw e;
    }
    if (selected.size() == 1) {
      return selected.getFirst();
    }
    List<Kernel> kernels = selected.stream().map(Selection::kernel).toList();
    String names = kernels.stream().map(k -> k.rule().name()).collect(Collectors.joining(", "));
    return new Selection(new KernelOfRules(rules, kernels), selected.getFirst().reason())
        .with("a kernel for each of " + names);
  }

  /** The devices of every backend that compute a rule's bits. */
  public static List<DeviceCandidate> candidates(UpdateRule rule) {
    return providers().stream().flatMap(provider -> provider.candidates(rule).stream()).toList();
  }

  /** The best kernel of the CPU, for what a device leaves to it; it holds nothing. */
  public static Kernel ofCpu(UpdateRule rule) {
    DeviceRequest none = new DeviceRequest("", DeviceOptions.defaults());
    return providers().stream()
        .filter(provider -> !provider.hasDevices())
        .flatMap(
            provider -> provider.open(rule, none).stream().map(found -> warming(provider, found)))
        .findFirst()
        .orElseThrow()
        .kernel();
  }

  /** The fastest form of converting gradients. */
  public static GradientConversion conversion() {
    return providers().stream()
        .flatMap(provider -> provider.conversion().stream())
        .findFirst()
        .orElseGet(ScalarConversion::new);
  }

  /** The fastest form of reading masters. */
  public static MasterConversion masters() {
    return providers().stream()
        .flatMap(provider -> provider.masters().stream())
        .findFirst()
        .orElseGet(ScalarMasterConversion::new);
  }

  private static Selection warming(KernelProvider provider, Selection found) {
    return provider.needsWarmUp()
        ? new Selection(new WarmingKernel(found.kernel(), provider), found.reason())
        : found;
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
