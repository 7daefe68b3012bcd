// The Lion step, bit for bit as core/ARITHMETIC.md has it. OpenCL C 1.2, no extension.
//
// Built with -D GRADIENT_F32, -D GRADIENT_F16 or -D GRADIENT_BF16: how gradients are stored; and
// with -D STOCHASTIC for that rounding of m', else it is to nearest; and with -D SAVED_UNIT=..., the
// elements of a unit in which values are saved (core's Undo).
//
// Indexes are in elements and 64 bits wide. `first` and `end` are indexes in the tensor, first a
// multiple of 32; an argument `..._at` is where a buffer has element `first`, a multiple of 64.
// Planes are padded to 64 elements with zeros, and these stay zeros: beyond the tensor's end the
// gradient is taken to be 0.
//
// State is read and written 16 elements at a time, aligned: PoCL's vstore16 stores one by one.

#pragma OPENCL FP_CONTRACT OFF

#define SIGN 0x80000000u
#define MAGNITUDE 0x7FFFFFFFu

// Vectors: Oclgrind 21.10 takes a scalar for the first element alone.
#define LARGEST_MASTER ((uint16)(0x7F7F7FFFu))
#define LARGEST_BF16 ((uint16)(0x7F7Fu))

// Elements that share hashes; what a work-item of `lion` steps.
#define GRANULE 32

// Nothing may move a store to the state across another (see lion_saving).
typedef volatile __global ushort16 *ordered_plane;

typedef struct {
  float scale, b1, o1, b2, o2, decay, lr;
} coefficients;

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

// -- Rounding of m', saturated --

ushort16 round_bf16(float16 value, uint16 random16) {
#if defined(STOCHASTIC)
  uint16 rounded = (as_uint16(value) + random16) >> 16;
#else
  uint16 rounded = (as_uint16(value) + 0x7FFFu + ((as_uint16(value) >> 16) & 1u)) >> 16;
#endif
  return convert_ushort16((rounded & 0x8000u) | min(rounded & 0x7FFFu, LARGEST_BF16));
}

// -- The step --

// Steps the 16 elements at w, r and m, whose old values are given.
void step16(
    ordered_plane w, ordered_plane r, ordered_plane m,
    ushort16 old_w, ushort16 old_r, ushort16 old_m,
    float16 stored, coefficients k, uint16 random16) {
  float16 momentum = as_float16(convert_uint16(old_m) << 16);
  float16 theta = as_float16(
      (convert_uint16(old_w) << 16) + as_uint16(convert_int16(as_short16(old_r))));

  float16 g = stored * k.scale;
  float16 c = fma(g, (float16)(k.o1), momentum * k.b1);
  float16 lr_sign_c = as_float16((as_uint16(c) & SIGN) | as_uint(k.lr));
  lr_sign_c = select(lr_sign_c, (float16)(0.0f), c == 0.0f);
  float16 theta1 = theta * k.decay - lr_sign_c;
  float16 momentum1 = fma(g, (float16)(k.o2), momentum * k.b2);

  uint16 bits = as_uint16(theta1);
  bits = (bits & SIGN) | min(bits & MAGNITUDE, LARGEST_MASTER);
  *w = convert_ushort16((bits + 0x8000u) >> 16);
  *r = convert_ushort16(bits & 0xFFFFu);
  *m = round_bf16(momentum1, random16);
}

// A work-item steps 32 elements.
__kernel void lion(
    __global const gradient *gradients, ulong gradients_at,
    __global ushort16 *weights, ulong weights_at,
    __global ushort16 *remainder, ulong remainder_at,
    __global ushort16 *momentum, ulong momentum_at,
    ulong first, ulong end, ulong key,
    float scale, float b1, float o1, float b2, float o2, float decay, float lr) {
  coefficients k = {scale, b1, o1, b2, o2, decay, lr};
  ulong at = (ulong)get_global_id(0) * GRANULE;
  ulong i = first + at;
  if (i >= end) {
    return;
  }
  __global ushort16 *w = weights + (weights_at + at) / 16;
  __global ushort16 *r = remainder + (remainder_at + at) / 16;
  __global ushort16 *m = momentum + (momentum_at + at) / 16;
  __global const gradient *g = gradients + gradients_at + at;
  uint16 hash = 0;
#if defined(STOCHASTIC)
  hash = hashes(key, i);
#endif
  step16(w, r, m, *w, *r, *m, load_before(g, i, end), k, hash & 0xFFFFu);
  w++;
  r++;
  m++;
  step16(w, r, m, *w, *r, *m, load_before(g + 16, i + 16, end), k, hash >> 16);
}

// Saves 16 elements: plane after plane, SAVED_UNIT elements each.
void save16(ordered_plane to, ushort16 w, ushort16 r, ushort16 m) {
  to[0] = w;
  to[SAVED_UNIT / 16] = r;
  to[2 * SAVED_UNIT / 16] = m;
}

// A work-item steps one of consecutive chunks, 32 elements at a time, as the CPU's kernel does: it
// saves their values, counts them, then changes them (core's Undo). For devices alone whose stores
// are a CPU's stores to the mapped files. A killed process leaves these as its instructions did,
// in their order; so what counts is that no store moves across another. All stores are volatile,
// and mem_fence, which is nothing in PoCL 3.1, orders them for others.
//
// `word_at` and `saved_at` are where the first chunk's word and saved values are in `progress`, in
// bytes; `slot_bytes` later the next chunk's. `word` is the first chunk's word with nothing saved,
// `word_step` what the next one's is more.
__kernel void lion_saving(
    __global const gradient *gradients, ulong gradients_at,
    __global ushort16 *weights, ulong weights_at,
    __global ushort16 *remainder, ulong remainder_at,
    __global ushort16 *momentum, ulong momentum_at,
    ulong first, ulong end, ulong key,
    float scale, float b1, float o1, float b2, float o2, float decay, float lr,
    ulong first_chunk, ulong chunk_elements,
    __global uchar *progress, ulong word_at, ulong saved_at, ulong slot_bytes,
    ulong word, ulong word_step) {
  coefficients k = {scale, b1, o1, b2, o2, decay, lr};
  ulong slot = get_global_id(0);
  ulong chunk = first_chunk + slot * chunk_elements;
  ulong from = max(first, chunk);
  ulong to = min(end, chunk + chunk_elements);
  __global ushort16 *w = weights + (weights_at + (from - first)) / 16;
  __global ushort16 *r = remainder + (remainder_at + (from - first)) / 16;
  __global ushort16 *m = momentum + (momentum_at + (from - first)) / 16;
  __global const gradient *g = gradients + gradients_at + (from - first);
  volatile __global ulong *counted =
      (volatile __global ulong *)(progress + word_at + slot * slot_bytes);
  ulong nothing_saved = word + slot * word_step;
  ordered_plane units = (ordered_plane)(progress + saved_at + slot * slot_bytes);
  for (ulong i = from; i < to; i += GRANULE) {
    uint16 hash = 0;
#if defined(STOCHASTIC)
    hash = hashes(key, i);
#endif
    ushort16 w0 = w[0], r0 = r[0], m0 = m[0];
    ushort16 w1 = w[1], r1 = r[1], m1 = m[1];

    ulong in_unit = (i - chunk) % SAVED_UNIT;
    ulong turn = (i - in_unit) / SAVED_UNIT % 2;
    ordered_plane saved = units + (turn * 3 * SAVED_UNIT + in_unit) / 16;
    save16(saved, w0, r0, m0);
    save16(saved + 1, w1, r1, m1);
    mem_fence(CLK_GLOBAL_MEM_FENCE);
    *counted = nothing_saved + (i + GRANULE - chunk);
    mem_fence(CLK_GLOBAL_MEM_FENCE);

    step16(w, r, m, w0, r0, m0, load_before(g, i, to), k, hash & 0xFFFFu);
    step16(w + 1, r + 1, m + 1, w1, r1, m1, load_before(g + 16, i + 16, to), k, hash >> 16);
    w += 2;
    r += 2;
    m += 2;
    g += GRANULE;
  }
}
