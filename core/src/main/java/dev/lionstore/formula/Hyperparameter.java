package dev.lionstore.formula;

/**
 * What a user sets of a rule.
 *
 * @param name in settings, with underscores
 * @param symbol in formulas
 * @param value the default
 * @param bound what it must be
 */
public record Hyperparameter(String name, String symbol, double value, Bound bound) {}
