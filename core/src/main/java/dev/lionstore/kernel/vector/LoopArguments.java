package dev.lionstore.kernel.vector;

import dev.lionstore.formula.RuleText;
import dev.lionstore.kernel.Undo;

/** A slice as a loop gets it. Addresses are where the slice begins. */
final class LoopArguments {
  /** The most state planes that a rule has. */
  private static final int MOST_STATES = 4;

  /** Of the weights. */
  long weights;

  /** Of the remainder. */
  long remainder;

  /** Of the state planes. */
  final long[] planes = new long[MOST_STATES];

  /** Whether planes in bfloat16 are rounded stochastically. */
  boolean stochastic;

  /** Of random bits for each state plane, where loops do not make them. */
  final long[] random16 = new long[MOST_STATES];

  /** What the hashes of each plane have in common, low bits, where loops make them. */
  final int[] keyLow = new int[MOST_STATES];

  /** Likewise, high bits. */
  final int[] keyHigh = new int[MOST_STATES];

  /** Of the slice's first hash, its low bits, as {@link Random16} has it. */
  int counter;

  /** Of the gradients of even elements. */
  long even;

  /** Of the gradients of odd elements. */
  long odd;

  /** By how much even gradients are shifted to be floats: 16 if both are the same pairs. */
  int evenShift;

  /** What is left of odd gradients when they are floats. */
  int oddMask;

  /** Elements, a multiple of {@link Random16#GRANULE}. */
  int count;

  /** The coefficients. */
  float[] coefficients = {};

  /** Where a look's elements go, as floats, for each look of a pass. */
  final long[] looks = new long[RuleText.MOST_LOOKS];

  /** Where values are saved before they change, as {@link Undo} says; 0 for nowhere. */
  long undo;

  /** Of the word that counts what is saved. */
  long undoWord;

  /** What the word is at the slice's first element. */
  long word;

  /** {@link Undo#UNIT} if the slice's first unit is an odd one, else 0. */
  int parity;
}
