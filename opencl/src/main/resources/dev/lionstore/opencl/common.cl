// What the steps of all rules have in common, bit for bit as core/ARITHMETIC.md has it. What OpenClForm makes of a
// rule's formula follows: step16 and two entries. OpenCL C 1.2, no extension.
//
// Built with -D GRADIENT_F32, -D GRADIENT_F16 or -D GRADIENT_BF16: how gradients are stored; and
// with -D STOCHASTIC for that rounding of bfloat16 states, else it is to nearest; and with
// -D SAVED_UNIT=..., the elements of a unit in which values are saved (core's Undo).
//
// Division and square root must be correctly rounded; a self-test finds devices that do not round so.
//
// Indexes are in elements and 64 bits wide. `first` and `end` are indexes in the tensor, first a
// multiple of 32; an argument `..._at` is where a buffer has element `first`, a multiple of 64.
// Planes are padded to 64 elements with zeros, and these stay zeros: beyond the tensor's end the
// gradient is taken to be 0.
//
// State is read and written 16 elements at a time, aligned: PoCL's vstore16 stores one by one.
//
// A work-item of the entry NAME steps 32 elements.
//
// A work-item of the entry NAME_saving steps one of consecutive chunks, 32 elements at a time, as
// the CPU's kernel does: it saves their values, counts them, then changes them (core's Undo). For
// devices alone whose stores are a CPU's stores to the mapped files. A killed process leaves these
// as its instructions did, in their order; so what counts is that no store moves across another.
// All stores are volatile, and mem_fence, which is nothing in PoCL 3.1, orders them for others.
//
// Its arguments `word_at` and `saved_at` are where the first chunk's word and saved values are in
// `progress`, in bytes; `slot_bytes` later the next chunk's. `word` is the first chunk's word with
// nothing saved, `word_step` what the next one's is more.

#pragma OPENCL FP_CONTRACT OFF

#define SIGN 0x80000000u
#define MAGNITUDE 0x7FFFFFFFu

// Vectors: Oclgrind 21.10 takes a scalar for the first element alone.
#define LARGEST_MASTER ((uint16)(0x7F7F7FFFu))
#define LARGEST_BF16 ((uint16)(0x7F7Fu))
#define LARGEST_FLOAT 0x1.fffffep127f

// Elements that share hashes; what a work-item of a rule's plain entry steps.
#define GRANULE 32

// Nothing may move a store to the state across another (see NAME_saving above).
typedef volatile __global ushort16 *ordered_plane;
typedef volatile __global float16 *ordered_floats;

// -- Gradients, widened exactly --

#if defined(GRADIENT_F32)

typedef float gradient;

float16 load16(__global const gradient *from) { return vload16(0, from); }

float widen(gradient stored) { return stored; }

#elif defined(GRADIENT_BF16)

typedef ushort gradient;

float16 load16(__global const gradient *from) {
  return as_float16(convert_uint16(vload16(0, from)) << 16);
}

float widen(gradient stored) { return as_float((uint)stored << 16); }

#elif defined(GRADIENT_F16)

typedef ushort gradient;

float16 widen16(ushort16 stored) {
  uint16 magnitude = convert_uint16(stored) & 0x7FFFu;
  uint16 normal = (magnitude << 13) + (112u << 23);
  uint16 subnormal = as_uint16(convert_float16(magnitude) * 0x1p-24f);
  uint16 special = (magnitude << 13) | 0x7F800000u;
  uint16 bits = select(normal, subnormal, magnitude < 0x0400u);
  bits = select(bits, special, magnitude >= 0x7C00u);
  return as_float16(bits | ((convert_uint16(stored) & 0x8000u) << 16));
}

float16 load16(__global const gradient *from) { return widen16(vload16(0, from)); }

float widen(gradient stored) { return widen16((ushort16)(stored)).s0; }

#endif

// Those of elements i to i + 15, of which the tensor has those before `end`.
float16 load_before(__global const gradient *from, ulong i, ulong end) {
  if (i + 16 <= end) {
    return load16(from);
  }
  float some[16];
  for (uint lane = 0; lane < 16; lane++) {
    some[lane] = i + lane < end ? widen(from[lane]) : 0.0f;
  }
  return vload16(0, some);
}

// -- r16 --

ulong mix64(ulong z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ul;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBul;
  return z ^ (z >> 31);
}

uint16 fmix32(uint16 h) {
  h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
  h = (h ^ (h >> 13)) * 0xC2B2AE35u;
  return h ^ (h >> 16);
}

// For elements i to i + 15 in the low halves, for i + 16 to i + 31 in the high ones.
uint16 hashes(ulong key, ulong i) {
  uint16 lane = (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  ulong c = i / 2;
  ulong k = c >> 32 == 0 ? key : mix64(key + (c >> 32));
  return fmix32((((uint)c + lane) * 0x9E3779B9u + (uint)k) ^ (uint)(k >> 32));
}

// A state plane is rounded by random numbers of its own.
ulong key_of_plane(ulong key, uint plane) {
  return plane == 0 ? key : mix64(key + 0x9E3779B97F4A7C15ul * plane);
}

// The hashes of a state plane, if its rounding needs them.
uint16 hashes_of_plane(ulong key, uint plane, ulong i) {
#if defined(STOCHASTIC)
  return hashes(key_of_plane(key, plane), i);
#else
  return (uint16)(0);
#endif
}

// -- Operations of formulas --

float16 sign16(float16 x) {
  float16 signed_one = as_float16((as_uint16(x) & SIGN) | 0x3F800000u);
  return select((float16)(0.0f), signed_one, x != 0.0f);
}

// k * sign16(x), in the same bits.
float16 signed16(float k, float16 x) {
  float16 product = as_float16((as_uint16(x) & SIGN) ^ as_uint(k));
  return select((float16)(k * 0.0f), product, x != 0.0f);
}

float16 min16(float16 a, float16 b) { return select(b, a, a < b); }

float16 max16(float16 a, float16 b) { return select(b, a, a > b); }

// By bits; the limit is positive.
float16 clip16(float16 x, float limit) {
  uint16 magnitude = min(as_uint16(x) & MAGNITUDE, (uint16)(as_uint(limit)));
  return as_float16((as_uint16(x) & SIGN) | magnitude);
}

float16 saturate16(float16 x) { return clip16(x, LARGEST_FLOAT); }

float16 widen_bf16(ushort16 stored) { return as_float16(convert_uint16(stored) << 16); }

ushort16 saturate_bf16(uint16 rounded) {
  return convert_ushort16((rounded & 0x8000u) | min(rounded & 0x7FFFu, LARGEST_BF16));
}

ushort16 nearest_bf16(float16 value) {
  return saturate_bf16((as_uint16(value) + 0x7FFFu + ((as_uint16(value) >> 16) & 1u)) >> 16);
}

float16 bf16(float16 x) { return widen_bf16(nearest_bf16(x)); }

// -- Rounding of bfloat16 states, saturated --

ushort16 round_bf16(float16 value, uint16 random16) {
#if defined(STOCHASTIC)
  return saturate_bf16((as_uint16(value) + random16) >> 16);
#else
  return nearest_bf16(value);
#endif
}

// -- The master --

float16 join(ushort16 old_w, ushort16 old_r) {
  return as_float16((convert_uint16(old_w) << 16) + as_uint16(convert_int16(as_short16(old_r))));
}

void split(ordered_plane w, ordered_plane r, float16 theta) {
  uint16 bits = as_uint16(theta);
  bits = (bits & SIGN) | min(bits & MAGNITUDE, LARGEST_MASTER);
  *w = convert_ushort16((bits + 0x8000u) >> 16);
  *r = convert_ushort16(bits & 0xFFFFu);
}

// -- Saving: 32 elements of a plane, whose unit begins at `unit` --

void save_shorts(__global uchar *unit, ulong in_unit, ushort16 lower, ushort16 upper) {
  ordered_plane to = (ordered_plane)unit + in_unit / 16;
  to[0] = lower;
  to[1] = upper;
}

void save_floats(__global uchar *unit, ulong in_unit, float16 lower, float16 upper) {
  ordered_floats to = (ordered_floats)unit + in_unit / 16;
  to[0] = lower;
  to[1] = upper;
}
