package dev.lionstore.rule;

import dev.lionstore.formula.Reduction;
import dev.lionstore.formula.Statement;

/**
 * One value of all elements of a tensor.
 *
 * @param index among the rule's looks
 * @param element what is computed for each element; its name is the look's
 * @param reduction what is made of them
 */
public record Look(int index, Statement element, Reduction reduction) {}
