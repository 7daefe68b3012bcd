package dev.lionstore.store.step;

/**
 * Which step a store's state is of.
 *
 * @param step completed steps
 * @param position the trainer's own bytes of that step
 * @param stepCounts how many steps each tensor has taken, if the rule counts them
 */
public record StepState(long step, byte[] position, long[] stepCounts) {}
