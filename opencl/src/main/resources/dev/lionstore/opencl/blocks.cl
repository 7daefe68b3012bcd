// States of 8 bits, bit for bit as core/ARITHMETIC.md has them: after common.cl, for rules that have such states.
//
// A block is the scale of 64 values and 16 words of four codes, word w with those of the values w, w + 16, w + 32 and
// w + 48: shifting all words by the same makes a vector of 16 codes. The scale is the largest magnitude among the
// values, so a work-item steps a whole block; that of NAME_saving steps its chunk block by block. `first` is a
// multiple of 64; an argument `..._at` of blocks is in words.
//
// Blocks follow one another without gaps, 17 words each: no vector of one is aligned, and it is stored word by word.

#define BLOCK 64
#define BLOCK_WORDS 17

// Of values of either sign, and of those that are never negative.
typedef enum { I8, U8 } block_type;

typedef volatile __global uint *ordered_words;

void store_words(ordered_words to, uint16 words) {
  uint each[16];
  vstore16(words, 0, each);
  for (uint w = 0; w < 16; w++) {
    to[w] = each[w];
  }
}

// -- Decoding --

// What share of the scale a code stands for, without sign.
float16 share_of(block_type type, float16 code) {
  float16 companded = code / (type == I8 ? 127.0f : 255.0f);
  return type == I8 ? companded / (2.0f - companded) : companded * companded;
}

// The values of a block, 16 from each place in its words.
void decode(block_type type, __global const uint *block, float16 *values) {
  float scale = as_float(block[0]);
  uint16 words = vload16(0, block + 1);
  for (uint part = 0; part < 4; part++) {
    uint16 high = words << (24 - 8 * part);
    int16 code = type == I8 ? as_int16(high) >> 24 : as_int16(high >> 24);
    uint16 magnitude = as_uint16(share_of(type, convert_float16(abs(code))) * scale);
    values[part] = as_float16(type == I8 ? magnitude | (high & SIGN) : magnitude);
  }
}

// -- Encoding --

// What counts of a value, in bits; a negative one that cannot be is 0. Values are saturated.
uint16 magnitude_of(block_type type, float16 value) {
  return type == I8 ? as_uint16(value) & MAGNITUDE : as_uint16(max(as_int16(value), (int16)(0)));
}

// In an array: Oclgrind 21.10 takes halves of a vector for uninitialised.
uint largest_of(uint16 values) {
  uint each[16];
  vstore16(values, 0, each);
  uint largest = each[0];
  for (uint v = 1; v < 16; v++) {
    largest = max(largest, each[v]);
  }
  return largest;
}

// Where a share lies among the codes.
float16 place_of(block_type type, float16 share) {
  return type == I8 ? 2.0f * share / (1.0f + share) * 127.0f : sqrt(share) * 255.0f;
}

// The code of a share, of its magnitude alone.
uint16 code_of(block_type type, float16 share, uint16 random16) {
  float16 place = place_of(type, share);
#if defined(STOCHASTIC)
  uint16 low = convert_uint16(place);
  float16 from = share_of(type, convert_float16(low));
  float16 to = share_of(type, convert_float16(low + 1u));
  float16 above = (share - from) / (to - from) * 0x1p16f;
  return select(low, low + 1u, convert_float16(random16) < above);
#else
  return convert_uint16(rint(place));
#endif
}

// A value that is not 0 and cannot be negative does not become 0: rules divide by it.
uint16 signed_code(block_type type, uint16 code, float16 value) {
  uint16 most = min(code, (uint16)(type == I8 ? 127u : 255u));
  uint16 least = min(magnitude_of(type, value), (uint16)(1u));
  return type == I8 ? select(most, 0u - most, as_int16(value) < 0) : max(most, least);
}

// Stores a block of a state plane, whose first value is element i.
void encode(block_type type, const float16 *values, ordered_words block, ulong key, uint plane, ulong i) {
  uint16 most = (uint16)(0);
  for (uint part = 0; part < 4; part++) {
    most = max(most, magnitude_of(type, values[part]));
  }
  uint largest = largest_of(most);
  // If all are 0, so are their codes, whatever they are divided by.
  float scale = largest == 0 ? 1.0f : as_float(largest);
  uint16 words = (uint16)(0);
  uint16 hash = words;
  for (uint part = 0; part < 4; part++) {
    hash = part % 2 == 0 ? hashes_of_plane(key, plane, i + 16 * part) : hash >> 16;
    float16 share = as_float16(magnitude_of(type, values[part])) / scale;
    uint16 code = code_of(type, share, hash & 0xFFFFu);
    words |= (signed_code(type, code, values[part]) & 0xFFu) << (8 * part);
  }
  block[0] = largest;
  store_words(block + 1, words);
}

// -- Saving: 64 elements of a plane. Those of blocks have no other alignment than theirs --

void save_unit_of_shorts(__global uchar *unit, __global const ushort16 *from) {
  for (uint part = 0; part < 4; part += 2) {
    uint16 words = (uint16)(as_uint8(from[part]), as_uint8(from[part + 1]));
    store_words((ordered_words)unit + 8 * part, words);
  }
}

void save_unit_of_floats(__global uchar *unit, __global const float16 *from) {
  for (uint part = 0; part < 4; part++) {
    store_words((ordered_words)unit + 16 * part, as_uint16(from[part]));
  }
}

void save_unit_of_block(__global uchar *unit, __global const uint *from) {
  ordered_words to = (ordered_words)unit;
  to[0] = from[0];
  store_words(to + 1, vload16(0, from + 1));
}
