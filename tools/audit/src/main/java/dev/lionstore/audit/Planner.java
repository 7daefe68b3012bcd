package dev.lionstore.audit;

import dev.lionstore.GradientPlane;
import dev.lionstore.checkpoint.TensorRules;
import dev.lionstore.rule.UpdateRules;
import dev.lionstore.store.PlaneAccess;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Finds the way to keep a model's state that a machine has room for (tools/audit/AUDIT.md). */
public final class Planner {
  /** For the processes and the system: a Java heap, a trainer's own data. */
  static final long ALLOWANCE = 1_000_000_000;

  /** So many gradients may wait for their steps while a backward pass goes on. */
  private static final int STREAMED_AT_ONCE = 8;

  private static final int BF16 = 2;
  private static final long MEBIBYTE = 1 << 20;
  private static final double GIGA = 1e9;

  private final AuditedModel model;
  private final StorePlan kept;
  private final StorePlan streamed;
  private final Machine machine;
  private final Snapshots snapshots;

  /**
   * How snapshots are taken.
   *
   * @param onDisk how many there must be room for: the newest, and the one that is being written
   * @param stepsBetween how many steps are between two
   */
  public record Snapshots(int onDisk, int stepsBetween) {}

  /**
   * Plans a model.
   *
   * @param gradients the plane that a store has if it keeps gradients; none to stream only
   */
  public Planner(
      AuditedModel model,
      TensorRules rules,
      GradientPlane gradients,
      Machine machine,
      Snapshots snapshots) {
    this.model = model;
    this.kept = StorePlan.of(model, rules, gradients);
    this.streamed = StorePlan.of(model, rules, GradientPlane.NONE);
    this.machine = machine;
    this.snapshots = snapshots;
  }

  /** How the store is called. */
  public String title() {
    return kept.title();
  }

  /** Makes the plan. */
  public RunPlan plan() {
    List<Mode> modes = new ArrayList<>();
    for (Place place : List.of(Place.HOST, Place.DISK)) {
      if (kept.layout().gradientPlane() != GradientPlane.NONE) {
        modes.add(mode(place, kept));
      }
      modes.add(mode(place, streamed));
    }
    Optional<Mode> chosen = modes.stream().filter(Mode::fits).findFirst();
    long snapshot = kept.stateBytes();
    long written =
        chosen
            .map(mode ->
                1000 * mode.writtenPerStep()
                    + Math.round(1000.0 / snapshots.stepsBetween() * snapshot))
            .orElse(0L);
    boolean readFromDisk = chosen.filter(mode -> mode.place() == Place.DISK).isPresent();
    double snapshotSeconds =
        readFromDisk
            ? 2 * snapshot / machine.bandwidth().disk()
            : snapshot / machine.bandwidth().diskWrites();
    return new RunPlan(modes, chosen, snapshot, snapshotSeconds, written, advice(modes, chosen));
  }

  private Mode mode(Place place, StorePlan store) {
    boolean streaming = store.layout().gradientPlane() == GradientPlane.NONE;
    boolean direct =
        place == Place.DISK && PlaneAccess.isLarge(store.size().planeBytes(), machine.ram());
    long waiting =
        BF16
            * Math.min(
                model.trainedParameters(), (streaming ? STREAMED_AT_ONCE : 1) * model.largest());
    long ram = ALLOWANCE + waiting + (direct ? store.residentDirect() : store.size().total());
    long gpu = machine.gpu() == 0 ? 0 : BF16 * model.parameters() + waiting;
    long disk = snapshotsOnDisk() + (place == Place.DISK ? onDisk(store, direct) : 0);
    long written =
        place == Place.DISK ? store.steppedBytes() + (streaming ? 0 : store.gradientBytes()) : 0;
    return new Mode(
        name(place, direct, streaming),
        place,
        streaming,
        ram,
        gpu,
        disk,
        direct ? directSeconds(store, streaming) : memorySeconds(store, streaming),
        written,
        lacks(ram, gpu, disk));
  }

  private long snapshotsOnDisk() {
    return snapshots.onDisk() * kept.stateBytes();
  }

  private static String name(Place place, boolean direct, boolean streaming) {
    String where =
        place == Place.HOST
            ? "tmpfs"
            : direct ? "disk, past the page cache" : "disk, in the page cache";
    return where + (streaming ? ", streaming" : ", gradient plane");
  }

  private static long onDisk(StorePlan store, boolean direct) {
    return store.size().total() + (direct ? store.size().direct().undoFileBytes() : 0);
  }

  /** The state is read and written, gradients read; putting them reads and writes them before. */
  private double memorySeconds(StorePlan store, boolean streaming) {
    long bytes =
        2 * store.steppedBytes()
            + store.lookedBytes()
            + store.gradientBytes()
            + (streaming ? 1 : 2) * store.gradientBytes();
    return bytes / machine.bandwidth().memory();
  }

  /** Gradients that are kept are written first and read by the step; others never see the disk. */
  private double directSeconds(StorePlan store, boolean streaming) {
    double gradients =
        streaming
            ? 0
            : store.gradientBytes() / machine.bandwidth().diskWrites()
                + store.gradientBytes() / machine.bandwidth().disk();
    long moved = 2 * store.steppedBytes() + store.lookedBytes();
    return gradients + moved / machine.bandwidth().disk();
  }

  private List<String> lacks(long ram, long gpu, long disk) {
    List<String> lacks = new ArrayList<>();
    addLack(lacks, "RAM", ram, machine.ram());
    addLack(lacks, "GPU memory", gpu, machine.gpu());
    addLack(lacks, "disk", disk, machine.disk());
    return lacks;
  }

  private static void addLack(List<String> lacks, String what, long needed, long there) {
    if (needed > there) {
      lacks.add(String.format(Locale.ROOT, "%.2f GB more %s", (needed - there) / GIGA, what));
    }
  }

  private List<String> advice(List<Mode> modes, Optional<Mode> chosen) {
    List<String> advice = new ArrayList<>();
    if (chosen.isEmpty()) {
      addChanges(advice, modes);
      return advice;
    }
    Mode mode = chosen.get();
    StorePlan store = mode.streaming() ? streamed : kept;
    if (mode.place() == Place.HOST && store.size().total() > machine.tmpfs()) {
      advice.add(
          String.format(
              Locale.ROOT,
              "the tmpfs holds %.2f GB and the store takes %.2f GB: mount -o remount,size=%dM /dev/shm",
              machine.tmpfs() / GIGA,
              store.size().total() / GIGA,
              Math.ceilDiv(store.size().total(), MEBIBYTE)));
    }
    if (mode.streaming() && kept.layout().gradientPlane() != GradientPlane.NONE) {
      advice.add(
          "without a gradient plane a step that is killed is not finished: take snapshots often; no"
              + " clipping to a norm");
    }
    Mode fastest = modes.getFirst();
    if (mode.place() == Place.DISK && !fastest.fits()) {
      advice.add(
          "each step writes to the disk; "
              + fastest.name()
              + " needs "
              + String.join(" and ", fastest.lacks()));
    }
    return advice;
  }

  private void addChanges(List<String> advice, List<Mode> modes) {
    boolean gpuLacks = modes.stream().allMatch(mode -> mode.gpu() > machine.gpu());
    if (gpuLacks) {
      advice.add("--gpu 0 lets the CPU compute the model, which reads the weights in place");
    }
    boolean snapshotsCount =
        modes.stream()
            .anyMatch(mode ->
                mode.disk() > machine.disk() && mode.disk() - snapshotsOnDisk() <= machine.disk());
    if (snapshotsCount) {
      advice.add(
          String.format(
              Locale.ROOT,
              "--snapshots 0 if they are on another disk: %.2f GB are for them",
              snapshotsOnDisk() / GIGA));
    }
    StorePlan lion =
        StorePlan.of(model, TensorRules.of(UpdateRules.LION), kept.layout().gradientPlane());
    if (lion.size().total() < kept.size().total()) {
      advice.add(
          String.format(
              Locale.ROOT,
              "--rule lion takes %.2f GB instead of %.2f GB",
              lion.size().total() / GIGA,
              kept.size().total() / GIGA));
    }
    advice.add(
        "tensors that are frozen (import --freeze) take 4 bytes per parameter, in weights and"
            + " remainder, and no step");
  }
}
