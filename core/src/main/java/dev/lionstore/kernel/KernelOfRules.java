package dev.lionstore.kernel;

import dev.lionstore.rule.UpdateRule;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The kernels of a store that is stepped by several rules: each tensor's is that of its rule. */
final class KernelOfRules implements Kernel {
  private final StoreRules rules;
  private final List<Kernel> kernels;

  /**
   * Kernels of one backend.
   *
   * @param kernels one for each rule, in the order of the rules; owned, also if this throws
   * @throws IllegalArgumentException if they cannot step one store
   */
  KernelOfRules(StoreRules rules, List<Kernel> kernels) {
    this.rules = rules;
    this.kernels = List.copyOf(kernels);
    try {
      if (kernels.stream().anyMatch(kernel -> kernel.resident().isPresent())) {
        throw new IllegalArgumentException(
            "a device that keeps the state steps stores of one rule; this store has "
                + names()
                + ": let the device stream, or step with backend vector");
      }
      requireOne("a backend", Kernel::backend);
      requireOneUnit();
    } catch (IllegalArgumentException e) {
      close();
      throw e;
    }
  }

  private void requireOneUnit() {
    requireOne("a way to save what they change", Kernel::unit);
  }

  private void requireOne(String what, Function<Kernel, Object> of) {
    List<Object> found = kernels.stream().map(of).distinct().toList();
    if (found.size() > 1) {
      throw new IllegalArgumentException(
          "the kernels of " + names() + " do not share " + what + ": " + found);
    }
  }

  private String names() {
    return kernels.stream().map(kernel -> kernel.rule().name()).collect(Collectors.joining(", "));
  }

  @Override
  public String backend() {
    return kernels.getFirst().backend();
  }

  /** The first one: what steps a tensor is that of the tensor's rule. */
  @Override
  public UpdateRule rule() {
    return kernels.getFirst().rule();
  }

  @Override
  public String nonconformance() {
    return words(Kernel::nonconformance);
  }

  @Override
  public Unit unit() {
    return kernels.getFirst().unit();
  }

  @Override
  public int chunksAtOnce(int chunkElements) {
    return kernels.stream()
        .mapToInt(kernel -> kernel.chunksAtOnce(chunkElements))
        .min()
        .orElseThrow();
  }

  @Override
  public String attach(StoreMemory memory) {
    String words = words(kernel -> kernel.attach(rules.memoryOf(kernel.rule(), memory)));
    requireOneUnit();
    return words;
  }

  private String words(Function<Kernel, String> of) {
    return kernels.stream()
        .map(of)
        .filter(words -> !words.isEmpty())
        .distinct()
        .collect(Collectors.joining("; "));
  }

  @Override
  public void willStep(long elements) {
    kernels.forEach(kernel -> kernel.willStep(atMost(elements, kernel)));
  }

  @Override
  public void prepare(long elements) {
    kernels.forEach(kernel -> kernel.prepare(atMost(elements, kernel)));
  }

  /** So nobody waits for the compiler because of a few norms. */
  private long atMost(long elements, Kernel kernel) {
    return Math.min(elements, rules.elements().getOrDefault(kernel.rule(), elements));
  }

  @Override
  public Stepper newStepper() {
    return new Steppers(kernels);
  }

  @Override
  public SquareSum newSquareSum() {
    return kernels.getFirst().newSquareSum();
  }

  @Override
  public TensorLook newLook() {
    TensorLook[] looks = kernels.stream().map(Kernel::newLook).toArray(TensorLook[]::new);
    UpdateRule[] its = kernels.stream().map(Kernel::rule).toArray(UpdateRule[]::new);
    return (tensor, pass, from, count, totals, at) ->
        looks[indexOf(its, tensor)].of(tensor, pass, from, count, totals, at);
  }

  private static int indexOf(UpdateRule[] rules, TensorStep tensor) {
    UpdateRule rule = tensor.rule();
    for (int i = 0; i < rules.length; i++) {
      if (rules[i].equals(rule)) {
        return i;
      }
    }
    throw new IllegalArgumentException("there is no kernel for rule " + rule.name());
  }

  @Override
  public void close() {
    kernels.forEach(Kernel::close);
  }

  /** A stepper of each kernel. */
  private static final class Steppers implements Stepper {
    private final UpdateRule[] rules;
    private final Stepper[] steppers;

    Steppers(List<Kernel> kernels) {
      rules = kernels.stream().map(Kernel::rule).toArray(UpdateRule[]::new);
      List<Stepper> made = new ArrayList<>();
      kernels.forEach(kernel -> made.add(kernel.newStepper()));
      steppers = made.toArray(Stepper[]::new);
    }

    private Stepper of(TensorStep tensor) {
      return steppers[indexOf(rules, tensor)];
    }

    @Override
    public void apply(TensorStep tensor, long from, int count) {
      of(tensor).apply(tensor, from, count);
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, Undo undo) {
      of(tensor).apply(tensor, from, count, undo);
    }

    @Override
    public void apply(TensorStep tensor, long from, int count, List<Undo> undo, int chunkElements) {
      of(tensor).apply(tensor, from, count, undo, chunkElements);
    }

    @Override
    public void close() {
      for (Stepper stepper : steppers) {
        stepper.close();
      }
    }
  }
}
