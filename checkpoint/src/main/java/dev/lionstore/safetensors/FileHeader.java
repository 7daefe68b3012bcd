package dev.lionstore.safetensors;

import java.util.List;
import java.util.Map;

/**
 * A checked header.
 *
 * @param metadata the strings under {@code __metadata__}, in file order, unmodifiable
 * @param entries the tensors by ascending place, unmodifiable, covering the data section exactly
 */
record FileHeader(Map<String, String> metadata, List<TensorEntry> entries) {}
