// The AdamW step; after common.cl. Built with -D MOMENTS_F32 or -D MOMENTS_BF16: how moments are stored.
//
// Division and root must be correctly rounded; a self-test finds out.

typedef struct {
  float scale, o1, b2, o2, root, eps, step, decay;
} coefficients;

#define LARGEST_FLOAT ((float16)(0x1.fffffep127f))

#if defined(MOMENTS_F32)

typedef float16 moment16;

float16 widen_moment(moment16 stored) { return stored; }

moment16 narrow_moment(float16 value, uint16 random16) { return value; }

#else

typedef ushort16 moment16;

float16 widen_moment(moment16 stored) { return as_float16(convert_uint16(stored) << 16); }

moment16 narrow_moment(float16 value, uint16 random16) { return round_bf16(value, random16); }

#endif

typedef volatile __global moment16 *ordered_moment;

// The second moment is rounded by random numbers of its own.
ulong key_of_second(ulong key) { return mix64(key + 0x9E3779B97F4A7C15ul); }

// Steps the 16 elements at w, r, m and v, whose old values are given.
void step16(
    ordered_plane w, ordered_plane r, ordered_moment m, ordered_moment v,
    ushort16 old_w, ushort16 old_r, moment16 old_m, moment16 old_v,
    float16 stored, coefficients k, uint16 random_m, uint16 random_v) {
  float16 momentum = widen_moment(old_m);
  float16 second = widen_moment(old_v);

  float16 g = stored * k.scale;
  float16 way = clamp(g - momentum, -LARGEST_FLOAT, LARGEST_FLOAT);
  float16 momentum1 = k.o1 < 0.5f
      ? fma((float16)(k.o1), way, momentum)
      : fma((float16)(k.o1 - 1.0f), way, g);
  float16 second1 = fmin(fma(g * k.o2, g, second * k.b2), LARGEST_FLOAT);
  float16 denominator = sqrt(second1) / k.root + k.eps;
  float16 theta1 = join(old_w, old_r) * k.decay + momentum1 * k.step / denominator;

  split(w, r, theta1);
  *m = narrow_moment(momentum1, random_m);
  *v = narrow_moment(second1, random_v);
}

// A work-item steps 32 elements.
__kernel void adamw(
    __global const gradient *gradients, ulong gradients_at,
    __global ushort16 *weights, ulong weights_at,
    __global ushort16 *remainder, ulong remainder_at,
    __global moment16 *moments, ulong moments_at,
    __global moment16 *seconds, ulong seconds_at,
    ulong first, ulong end, ulong key,
    float scale, float o1, float b2, float o2, float root, float eps, float step, float decay) {
  coefficients k = {scale, o1, b2, o2, root, eps, step, decay};
  ulong at = (ulong)get_global_id(0) * GRANULE;
  ulong i = first + at;
  if (i >= end) {
    return;
  }
  __global ushort16 *w = weights + (weights_at + at) / 16;
  __global ushort16 *r = remainder + (remainder_at + at) / 16;
  __global moment16 *m = moments + (moments_at + at) / 16;
  __global moment16 *v = seconds + (seconds_at + at) / 16;
  __global const gradient *g = gradients + gradients_at + at;
  uint16 hash_m = 0;
  uint16 hash_v = 0;
#if defined(STOCHASTIC)
  hash_m = hashes(key, i);
  hash_v = hashes(key_of_second(key), i);
#endif
  step16(w, r, m, v, *w, *r, *m, *v, load_before(g, i, end), k, hash_m & 0xFFFFu, hash_v & 0xFFFFu);
  w++;
  r++;
  m++;
  v++;
  step16(w, r, m, v, *w, *r, *m, *v, load_before(g + 16, i + 16, end), k, hash_m >> 16, hash_v >> 16);
}

// A work-item steps one of consecutive chunks and saves what it changes, as lion_saving does.
__kernel void adamw_saving(
    __global const gradient *gradients, ulong gradients_at,
    __global ushort16 *weights, ulong weights_at,
    __global ushort16 *remainder, ulong remainder_at,
    __global moment16 *moments, ulong moments_at,
    __global moment16 *seconds, ulong seconds_at,
    ulong first, ulong end, ulong key,
    float scale, float o1, float b2, float o2, float root, float eps, float step, float decay,
    ulong first_chunk, ulong chunk_elements,
    __global uchar *progress, ulong word_at, ulong saved_at, ulong slot_bytes,
    ulong word, ulong word_step) {
  coefficients k = {scale, o1, b2, o2, root, eps, step, decay};
  ulong slot = get_global_id(0);
  ulong chunk = first_chunk + slot * chunk_elements;
  ulong from = max(first, chunk);
  ulong to = min(end, chunk + chunk_elements);
  __global ushort16 *w = weights + (weights_at + (from - first)) / 16;
  __global ushort16 *r = remainder + (remainder_at + (from - first)) / 16;
  __global moment16 *m = moments + (moments_at + (from - first)) / 16;
  __global moment16 *v = seconds + (seconds_at + (from - first)) / 16;
  __global const gradient *g = gradients + gradients_at + (from - first);
  volatile __global ulong *counted =
      (volatile __global ulong *)(progress + word_at + slot * slot_bytes);
  ulong nothing_saved = word + slot * word_step;
  __global uchar *units = progress + saved_at + slot * slot_bytes;
  ulong plane_bytes = SAVED_UNIT / 16 * sizeof(ushort16);
  ulong moment_bytes = SAVED_UNIT / 16 * sizeof(moment16);
  for (ulong i = from; i < to; i += GRANULE) {
    uint16 hash_m = 0;
    uint16 hash_v = 0;
#if defined(STOCHASTIC)
    hash_m = hashes(key, i);
    hash_v = hashes(key_of_second(key), i);
#endif
    ushort16 w0 = w[0], r0 = r[0], w1 = w[1], r1 = r[1];
    moment16 m0 = m[0], v0 = v[0], m1 = m[1], v1 = v[1];

    ulong in_unit = (i - chunk) % SAVED_UNIT;
    ulong turn = (i - in_unit) / SAVED_UNIT % 2;
    __global uchar *unit = units + turn * 2 * (plane_bytes + moment_bytes);
    ordered_plane saved_w = (ordered_plane)unit + in_unit / 16;
    ordered_plane saved_r = (ordered_plane)(unit + plane_bytes) + in_unit / 16;
    ordered_moment saved_m = (ordered_moment)(unit + 2 * plane_bytes) + in_unit / 16;
    ordered_moment saved_v =
        (ordered_moment)(unit + 2 * plane_bytes + moment_bytes) + in_unit / 16;
    saved_w[0] = w0;
    saved_w[1] = w1;
    saved_r[0] = r0;
    saved_r[1] = r1;
    saved_m[0] = m0;
    saved_m[1] = m1;
    saved_v[0] = v0;
    saved_v[1] = v1;
    mem_fence(CLK_GLOBAL_MEM_FENCE);
    *counted = nothing_saved + (i + GRANULE - chunk);
    mem_fence(CLK_GLOBAL_MEM_FENCE);

    step16(w, r, m, v, w0, r0, m0, v0, load_before(g, i, to), k, hash_m & 0xFFFFu, hash_v & 0xFFFFu);
    step16(
        w + 1, r + 1, m + 1, v + 1, w1, r1, m1, v1,
        load_before(g + 16, i + 16, to), k, hash_m >> 16, hash_v >> 16);
    w += 2;
    r += 2;
    m += 2;
    v += 2;
    g += GRANULE;
  }
}
