// The Lion step; after common.cl.

typedef struct {
  float scale, b1, o1, b2, o2, decay, lr;
} coefficients;

// Steps the 16 elements at w, r and m, whose old values are given.
void step16(
    ordered_plane w, ordered_plane r, ordered_plane m,
    ushort16 old_w, ushort16 old_r, ushort16 old_m,
    float16 stored, coefficients k, uint16 random16) {
  float16 momentum = as_float16(convert_uint16(old_m) << 16);
  float16 theta = join(old_w, old_r);

  float16 g = stored * k.scale;
  float16 c = fma(g, (float16)(k.o1), momentum * k.b1);
  float16 lr_sign_c = as_float16((as_uint16(c) & SIGN) | as_uint(k.lr));
  lr_sign_c = select(lr_sign_c, (float16)(0.0f), c == 0.0f);
  float16 theta1 = theta * k.decay - lr_sign_c;
  float16 momentum1 = fma(g, (float16)(k.o2), momentum * k.b2);

  split(w, r, theta1);
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
