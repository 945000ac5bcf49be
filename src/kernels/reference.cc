// The reference table: plain loops in the order of the formulas, at the baseline instruction set.
// Sums run in double where the interface does not fix the type, so that the error which a test
// measures is the other table's.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

#include "kernels/cpu/attention_shape.h"
#include "kernels/kernel_table.h"
#include "kernels/reference_codes.h"

namespace inferneo::kernels {
namespace {

float from_f32(float x) { return x; }

float from_bf16(Bf16 x) { return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16); }

// Spec: IEEE 754-2019, binary16: 1 sign, 5 exponent and 10 fraction bits.
float from_f16(F16 x) {
  const bool negative = (x >> 15) != 0;
  const int exponent = (x >> 10) & 0x1f;
  const int fraction = x & 0x3ff;
  float magnitude = 0;
  if (exponent == 0x1f) {
    magnitude = fraction == 0 ? std::numeric_limits<float>::infinity()
                              : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
  }
  return negative ? -magnitude : magnitude;
}

Bf16 to_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  // Why: rounding could carry a NaN's fraction away; setting its quiet bit keeps it a NaN.
  if (std::isnan(x)) return static_cast<Bf16>((bits >> 16) | 0x40);
  return static_cast<Bf16>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Counts in units of the last place that binary16 has at this magnitude, 2^-24 for denormals.
F16 to_f16(float x) {
  constexpr float kOverflow = 65520;  // halfway between the largest number and what would follow
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = (bits >> 16) & 0x8000;
  if (std::isnan(x)) return static_cast<F16>(sign | 0x7e00 | ((bits >> 13) & 0x3ff));
  const float magnitude = std::abs(x);
  if (magnitude >= kOverflow) return static_cast<F16>(sign | 0x7c00);
  const int exponent = std::max(magnitude == 0 ? -14 : std::ilogb(magnitude), -14);
  const auto units = std::lrint(std::ldexp(magnitude, 10 - exponent));  // ties to even
  // Why a sum: units that round up to 2048 carry into the exponent, denormals into the first.
  return static_cast<F16>(static_cast<long>(sign) + ((exponent + 15) << 10) + units - 1024);
}

template <typename X, typename W, float (*from_x)(X), float (*from_w)(W)>
void linear(const LinearArgs& args) noexcept {
  const auto* x = static_cast<const X*>(args.x);
  const auto* w = static_cast<const W*>(args.w);
  for (std::int64_t m = 0; m < args.m; ++m) {
    for (std::int64_t n = args.n_begin; n < args.n_end; ++n) {
      float sum = 0;
      for (std::int64_t k = 0; k < args.k; ++k) {
        sum += from_x(x[m * args.x_stride + k]) * from_w(w[n * args.k + k]);
      }
      if (args.bias != nullptr) sum += args.bias[n];
      float& y = args.y[m * args.y_stride + n];
      y = args.accumulate ? y + sum : sum;
    }
  }
}

float from_i8(std::int8_t x) { return x; }

std::int64_t cache_index(const AttentionArgs& args, std::int32_t position) {
  const std::int64_t block = args.blocks[position / args.block_size];
  const std::int64_t slot = position % args.block_size;
  return (block * args.kv_heads + args.kv_head) * args.block_size + slot;
}

double scale_of(const AttentionArgs& args, const float* scales, std::int32_t position) {
  return scales == nullptr ? 1.0 : double{scales[cache_index(args, position)]};
}

template <typename T>
const T* cache_row(const AttentionArgs& args, const void* cache, std::int32_t position) {
  return static_cast<const T*>(cache) + cache_index(args, position) * args.head_dim;
}

// The result of some keys for one query: values not yet divided by the sum of their weights.
struct RangeRow {
  float* values;  // Shape: [head_dim]
  float* most;
  float* sum;
};

RangeRow partial_row(const AttentionArgs& args, std::int32_t range, std::int64_t query) {
  const std::int64_t queries = std::int64_t{args.row_end - args.row_begin} * args.group;
  const std::int64_t width = padded_head_dim(args.head_dim);
  float* floats =
      args.partials + (range - args.partials_begin) * partial_floats(queries, args.head_dim);
  return {floats + query * width,
          floats + queries * width + query,
          floats + queries * (width + 1) + query};
}

// The keys that a row sees: [begin, end).
struct KeySpan {
  std::int32_t begin;
  std::int32_t end;
};

KeySpan visible_keys(const AttentionArgs& args, std::int32_t position) {
  return {std::max(position - args.reach_before, 0),
          std::min(position + args.reach_after + 1, args.key_count)};
}

double adjust_score(const AttentionArgs& args,
                    double score,
                    std::int64_t head,
                    std::int32_t distance) {
  if (args.soft_cap != 0) score = args.soft_cap * std::tanh(score / args.soft_cap);
  if (args.slopes != nullptr) score += double{args.slopes[head]} * distance;
  return score;
}

// Two passes over the keys of a range: the largest score, then the weighted sum of the values.
template <typename T, float (*from)(T)>
void attend_range(const AttentionArgs& args,
                  const float* q,
                  std::int64_t head,
                  std::int32_t position,
                  std::int32_t range,
                  const RangeRow& row) {
  const auto score = [&](std::int32_t key) {
    const T* k = cache_row<T>(args, args.k_cache, key);
    double sum = 0;
    for (std::int32_t d = 0; d < args.head_dim; ++d) sum += double{q[d]} * from(k[d]);
    sum *= args.scale * scale_of(args, args.k_scales, key);
    return adjust_score(args, sum, head, key - position);
  };
  const KeySpan seen = visible_keys(args, position);
  const std::int32_t begin = std::max(range * kAttentionRange, seen.begin);
  const std::int32_t end = std::min((range + 1) * kAttentionRange, seen.end);
  double most = -std::numeric_limits<double>::infinity();
  for (std::int32_t key = begin; key < end; ++key) most = std::max(most, score(key));
  *row.most = static_cast<float>(most);
  double sum = 0;
  std::fill_n(row.values, args.head_dim, 0.0F);
  for (std::int32_t key = begin; key < end; ++key) {
    const double weight = std::exp(score(key) - double{*row.most});
    const T* v = cache_row<T>(args, args.v_cache, key);
    const double factor = weight * scale_of(args, args.v_scales, key);
    for (std::int32_t d = 0; d < args.head_dim; ++d) {
      row.values[d] += static_cast<float>(factor * from(v[d]));
    }
    sum += weight;
  }
  *row.sum = static_cast<float>(sum);
}

void fold_range(const AttentionArgs& args, const RangeRow& total, const RangeRow& next) {
  const float most = std::max(*total.most, *next.most);
  // Why: while every score is -infinity, subtracting it would make NaNs of weights that are 0.
  const float shift = std::isinf(most) && most < 0 ? 0 : most;
  const float before = std::exp(*total.most - shift);
  const float here = std::exp(*next.most - shift);
  *total.most = most;
  *total.sum = *total.sum * before + *next.sum * here;
  for (std::int32_t d = 0; d < args.head_dim; ++d) {
    total.values[d] = total.values[d] * before + next.values[d] * here;
  }
}

void write_row(const AttentionArgs& args, const RangeRow& row, std::int64_t query) {
  const std::int64_t head = std::int64_t{args.kv_head} * args.group + query % args.group;
  float* out =
      args.out + (args.row_begin + query / args.group) * args.out_stride + head * args.head_dim;
  double sum = *row.sum;
  if (args.sinks != nullptr) sum += std::exp(double{args.sinks[head]} - *row.most);
  for (std::int32_t d = 0; d < args.head_dim; ++d) {
    out[d] = static_cast<float>(row.values[d] / sum);
  }
}

std::int32_t last_range(const AttentionArgs& args, std::int64_t query) {
  const auto row = args.row_begin + static_cast<std::int32_t>(query / args.group);
  return (visible_keys(args, args.context_before + row).end - 1) / kAttentionRange;
}

template <typename T, float (*from)(T)>
void attention(const AttentionArgs& args) noexcept {
  const std::int64_t queries = std::int64_t{args.row_end - args.row_begin} * args.group;
  for (std::int64_t query = 0; query < queries; ++query) {
    const auto row = args.row_begin + static_cast<std::int32_t>(query / args.group);
    const std::int64_t head = std::int64_t{args.kv_head} * args.group + query % args.group;
    const float* q = args.q + row * args.q_stride + head * args.head_dim;
    const auto attend = [&](std::int32_t range, const RangeRow& result) {
      attend_range<T, from>(args, q, head, args.context_before + row, range, result);
    };
    if (args.partials != nullptr) {
      for (std::int32_t range = args.range_begin; range < args.range_end; ++range) {
        attend(range, partial_row(args, range, query));
      }
      continue;
    }
    float most[2];
    float sum[2];
    const RangeRow total = {args.scratch, &most[0], &sum[0]};
    const RangeRow next = {args.scratch + args.head_dim, &most[1], &sum[1]};
    attend(0, total);
    for (std::int32_t range = 1; range <= last_range(args, query); ++range) {
      attend(range, next);
      fold_range(args, total, next);
    }
    write_row(args, total, query);
  }
}

void attention_merge(const AttentionArgs& args) noexcept {
  const std::int64_t queries = std::int64_t{args.row_end - args.row_begin} * args.group;
  for (std::int64_t query = 0; query < queries; ++query) {
    const RangeRow total = partial_row(args, args.partials_begin, query);
    for (std::int32_t range = args.partials_begin + 1; range <= last_range(args, query); ++range) {
      fold_range(args, total, partial_row(args, range, query));
    }
    write_row(args, total, query);
  }
}

void rms_norm(const float* x, const float* weight, float eps, float* y, std::int64_t n) noexcept {
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const auto mean = static_cast<float>(squares / static_cast<double>(n));
  const float scale = 1 / std::sqrt(mean + eps);
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] * scale * weight[i];
}

void layer_norm(const float* x,
                const float* weight,
                const float* bias,
                float eps,
                float* y,
                std::int64_t n) noexcept {
  double mean = 0;
  for (std::int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= static_cast<double>(n);
  double variance = 0;
  for (std::int64_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  variance /= static_cast<double>(n);
  const double scale = 1 / std::sqrt(variance + double{eps});
  for (std::int64_t i = 0; i < n; ++i) {
    const auto normed = static_cast<float>((x[i] - mean) * scale);
    y[i] = normed * (weight == nullptr ? 1 : weight[i]) + (bias == nullptr ? 0 : bias[i]);
  }
}

void rope(float* x,
          const float* cos,
          const float* sin,
          std::int64_t heads,
          std::int64_t head_dim,
          std::int64_t rotary_dim) noexcept {
  const std::int64_t half = rotary_dim / 2;
  for (std::int64_t head = 0; head < heads; ++head, x += head_dim) {
    for (std::int64_t i = 0; i < half; ++i) {
      const float a = x[i];
      const float b = x[i + half];
      x[i] = a * cos[i] - b * sin[i];
      x[i + half] = b * cos[i] + a * sin[i];
    }
  }
}

void rope_adjacent(float* x,
                   const float* cos,
                   const float* sin,
                   std::int64_t heads,
                   std::int64_t head_dim,
                   std::int64_t rotary_dim) noexcept {
  for (std::int64_t head = 0; head < heads; ++head, x += head_dim) {
    for (std::int64_t i = 0; i < rotary_dim / 2; ++i) {
      const float a = x[2 * i];
      const float b = x[2 * i + 1];
      x[2 * i] = a * cos[i] - b * sin[i];
      x[2 * i + 1] = b * cos[i] + a * sin[i];
    }
  }
}

double activate_one(Activation activation, double x) {
  switch (activation) {
    case Activation::kSilu:
      return x / (1 + std::exp(-x));
    case Activation::kGelu:
      return x / 2 * std::erfc(-x / std::numbers::sqrt2);
    case Activation::kGeluTanh: {
      const double root = std::sqrt(2 * std::numbers::inv_pi);
      return x / (1 + std::exp(-2 * root * (x + 0.044715 * x * x * x)));
    }
    case Activation::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Activation::kRelu:
      return std::isnan(x) ? x : std::max(x, 0.0);
    case Activation::kReluSquared:
      return std::isnan(x) ? x : std::max(x, 0.0) * std::max(x, 0.0);
  }
  return x;
}

void activate(
    Activation activation, const float* x, const float* factor, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<float>(activate_one(activation, x[i])) * (factor == nullptr ? 1 : factor[i]);
  }
}

void soft_cap(const float* x, float cap, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = static_cast<float>(cap * std::tanh(double{x[i]} / cap));
  }
}

void add(const float* a, const float* b, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
}

void f32_to_bf16(const float* x, Bf16* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = to_bf16(x[i]);
}

void f32_to_f16(const float* x, F16* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = to_f16(x[i]);
}

void bf16_to_f32(const Bf16* x, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = from_bf16(x[i]);
}

void f16_to_f32(const F16* x, float* y, std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) y[i] = from_f16(x[i]);
}

void f32_to_i8(const float* x, std::int8_t* y, float* scale, std::int64_t n) noexcept {
  float largest = 0;
  bool is_finite = true;
  for (std::int64_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::abs(x[i]));
    is_finite = is_finite && std::isfinite(x[i]);
  }
  const bool is_usable = is_finite && largest >= 1e-30F;
  *scale = is_finite ? 0 : std::numeric_limits<float>::quiet_NaN();
  if (is_usable) *scale = largest / 127;
  const float inverse = is_usable ? 127 / largest : 0;
  for (std::int64_t i = 0; i < n; ++i) {
    y[i] = is_usable ? static_cast<std::int8_t>(std::nearbyint(x[i] * inverse)) : std::int8_t{0};
  }
}

std::int64_t argmax(const float* x, std::int64_t n, bool* all_finite) noexcept {
  *all_finite = true;
  std::int64_t best = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!std::isfinite(x[i])) *all_finite = false;
    if (x[i] > x[best]) best = i;
  }
  return best;
}

float log_sum_exp(const float* x, std::int64_t n) noexcept {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, x[i]);
  // Why: inf - inf is NaN, but the sum itself is well defined (infinity, or zero).
  if (std::isinf(largest)) largest = 0;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(x[i]) - largest);
  return static_cast<float>(std::log(sum) + largest);
}

double spin(std::int64_t rounds) noexcept {
  volatile float factor = 0.5F;
  const float x = factor;
  float sums[8] = {};
  for (std::int64_t i = 0; i < rounds; ++i) {
    for (float& sum : sums) sum += x * x;
  }
  for (const float sum : sums) factor = sum;
  return 16.0 * static_cast<double>(rounds);
}

constexpr KernelTable kReference = {
    .name = "reference",
    .linear_f32_f32 = linear<float, float, from_f32, from_f32>,
    .linear_f32_f16 = linear<float, F16, from_f32, from_f16>,
    .linear_f32_bf16 = linear<float, Bf16, from_f32, from_bf16>,
    .matrix_ops = reference_codes_ops,
    .attention_f32 = attention<float, from_f32>,
    .attention_f16 = attention<F16, from_f16>,
    .attention_f16_fine = attention<F16, from_f16>,
    .attention_bf16 = attention<Bf16, from_bf16>,
    .attention_i8 = attention<std::int8_t, from_i8>,
    .attention_merge = attention_merge,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .rope = rope,
    .rope_adjacent = rope_adjacent,
    .activate = activate,
    .soft_cap = soft_cap,
    .add = add,
    .f32_to_bf16 = f32_to_bf16,
    .f32_to_f16 = f32_to_f16,
    .bf16_to_f32 = bf16_to_f32,
    .f16_to_f32 = f16_to_f32,
    .f32_to_i8 = f32_to_i8,
    .argmax = argmax,
    .log_sum_exp = log_sum_exp,
    .spin_f32 = spin,
    .spin_bf16 = spin,
};

}  // namespace

const KernelTable& reference_table() { return kReference; }

}  // namespace inferneo::kernels
