#include "attention.h"

namespace starter {
namespace {

// Query rows of one block: small enough that scores of 2,048 keys stay in the second-level cache.
constexpr size_t kBlock = 64;

// Keys that the backward pass takes at once: all of their scores stay in that cache.
constexpr size_t kKeys = 512;

// The transposed blocks of one query block: (keys, kBlock) in tiles.
constexpr size_t kTileStep = panel_step(kBlock);

// Score of a later token, in the last 16 scores of a row; its share of the sum is below 1e-36.
constexpr float kUnseen = -1e30F;

}  // namespace

Attention::Attention(const HeadShape& shape, size_t length_max)
    : shape_(shape),
      scale_(1.0F / std::sqrt(static_cast<float>(shape.head_dim))),
      scores_(kBlock * (std::max(length_max, kKeys) + 16)),
      d_probabilities_(kBlock * (kKeys + 16)),
      block_(kBlock * (shape.head_dim + 16)),
      key_columns_(length_max / 16 * panel_step(shape.head_dim)),
      key_rows_(shape.head_dim / 16 * panel_step(length_max)),
      value_columns_(length_max / 16 * panel_step(shape.head_dim)),
      value_rows_(shape.head_dim / 16 * panel_step(length_max)),
      probabilities_(kBlock * row_step(std::max(length_max, kKeys))),
      probability_tiles_(kKeys / 16 * kTileStep),
      d_score_tiles_(kKeys / 16 * kTileStep),
      query_panels_(shape.head_dim / 16 * kTileStep),
      d_mixed_panels_(shape.head_dim / 16 * kTileStep) {}

void Attention::forward(const Bf16* qkv, size_t length, Bf16* mixed, float* log_sums) {
  const size_t step = row_step(shape_.row_size());
  const size_t dim = shape_.head_dim;
  const size_t group = shape_.heads / shape_.kv_heads;
  for (size_t kv = 0; kv < shape_.kv_heads; ++kv) {
    const Bf16* keys = qkv + shape_.query_size() + kv * dim;
    rows_to_transposed_panels(keys, step, length, dim, key_columns_.data(), panel_step(dim));
    rows_to_panels(
        keys + shape_.key_size(), step, length, dim, value_rows_.data(), panel_step(length));
    for (size_t head = kv * group; head < (kv + 1) * group; ++head) {
      for (size_t from = 0; from < length; from += kBlock) {
        forward_block(qkv, head, from, std::min(kBlock, length - from), length, mixed, log_sums);
      }
    }
  }
}

void Attention::forward_block(const Bf16* qkv,
                              size_t head,
                              size_t from,
                              size_t rows,
                              size_t length,
                              Bf16* mixed,
                              float* log_sums) {
  const size_t step = row_step(shape_.row_size());
  const size_t dim = shape_.head_dim;
  const size_t keys = from + rows;
  const size_t scores_step = keys + 16;
  const size_t p_step = row_step(keys);
  multiply(left_rows(qkv + from * step + head * dim, step),
           {key_columns_.data(), panel_step(dim)},
           rows,
           keys,
           dim,
           scores_.data(),
           scores_step,
           false);
  float sums[kBlock];
  for (size_t i = 0; i < rows; ++i) {
    float* s = scores_.data() + i * scores_step;
    Bf16* p = probabilities_.data() + i * p_step;
    const size_t seen = from + i + 1;
    const size_t width = (seen + 15) / 16 * 16;
    std::fill(s + seen, s + width, kUnseen);
    const float highest = highest_of(s, width);
    float sum = 0;
    for (size_t j = 0; j < width; ++j) {
      const float e = exponential((s[j] - highest) * scale_);
      sum += e;
      p[j] = to_bf16(e);
    }
    std::fill(p + seen, p + keys, Bf16{0});
    sums[i] = sum;
    log_sums[head * length + from + i] = highest * scale_ + std::log(sum);
  }
  multiply(left_rows(probabilities_.data(), p_step),
           {value_rows_.data(), panel_step(length)},
           rows,
           dim,
           keys,
           block_.data(),
           dim + 16,
           false);
  for (size_t i = 0; i < rows; ++i) {
    float* row = block_.data() + i * (dim + 16);
    const float share = 1.0F / sums[i];
    for (size_t c = 0; c < dim; ++c) row[c] *= share;
    store_row(row, dim, mixed + (from + i) * row_step(shape_.query_size()) + head * dim);
  }
}

void Attention::backward(const Bf16* qkv,
                         const Bf16* mixed,
                         const float* log_sums,
                         const Bf16* d_mixed,
                         size_t length,
                         float* d_qkv) {
  const size_t step = row_step(shape_.row_size());
  const size_t dim = shape_.head_dim;
  const size_t group = shape_.heads / shape_.kv_heads;
  const size_t d_step = shape_.row_size() + 16;
  for (size_t t = 0; t < length; ++t) {
    float* row = d_qkv + t * d_step;
    std::fill(row + shape_.query_size(), row + shape_.row_size(), 0.0F);
  }
  for (size_t kv = 0; kv < shape_.kv_heads; ++kv) {
    const Bf16* keys = qkv + shape_.query_size() + kv * dim;
    const Bf16* values = keys + shape_.key_size();
    rows_to_transposed_panels(keys, step, length, dim, key_columns_.data(), panel_step(dim));
    rows_to_transposed_panels(values, step, length, dim, value_columns_.data(), panel_step(dim));
    rows_to_panels(keys, step, length, dim, key_rows_.data(), panel_step(length));
    for (size_t head = kv * group; head < (kv + 1) * group; ++head) {
      for (size_t from = 0; from < length; from += kBlock) {
        backward_block(qkv,
                       mixed,
                       log_sums + head * length,
                       d_mixed,
                       head,
                       from,
                       std::min(kBlock, length - from),
                       length,
                       d_qkv);
      }
    }
  }
}

void Attention::backward_block(const Bf16* qkv,
                               const Bf16* mixed,
                               const float* log_sums,
                               const Bf16* d_mixed,
                               size_t head,
                               size_t from,
                               size_t rows,
                               size_t length,
                               float* d_qkv) {
  const size_t step = row_step(shape_.row_size());
  const size_t mixed_step = row_step(shape_.query_size());
  const size_t d_step = shape_.row_size() + 16;
  const size_t dim = shape_.head_dim;
  const size_t kv = head / (shape_.heads / shape_.kv_heads);
  const size_t keys = from + rows;
  const Bf16* queries = qkv + from * step + head * dim;
  const Bf16* d_out = d_mixed + from * mixed_step + head * dim;
  const Bf16* out = mixed + from * mixed_step + head * dim;
  float deltas[kBlock];
  for (size_t i = 0; i < rows; ++i) {
    float sum = 0;
    for (size_t c = 0; c < dim; ++c) {
      sum += from_bf16(d_out[i * mixed_step + c]) * from_bf16(out[i * mixed_step + c]);
    }
    deltas[i] = sum;
  }
  rows_to_panels(queries, step, rows, dim, query_panels_.data(), kTileStep);
  rows_to_panels(d_out, mixed_step, rows, dim, d_mixed_panels_.data(), kTileStep);
  float* d_keys = d_qkv + shape_.query_size() + kv * dim;
  for (size_t key = 0; key < keys; key += kKeys) {
    const size_t width = std::min(kKeys, keys - key);
    const size_t panel = key / 16 * panel_step(dim);
    multiply(left_rows(queries, step),
             {key_columns_.data() + panel, panel_step(dim)},
             rows,
             width,
             dim,
             scores_.data(),
             width + 16,
             false);
    multiply(left_rows(d_out, mixed_step),
             {value_columns_.data() + panel, panel_step(dim)},
             rows,
             width,
             dim,
             d_probabilities_.data(),
             width + 16,
             false);
    score_gradients(
        log_sums + from, deltas, rows, static_cast<int>(from) - static_cast<int>(key), width);
    multiply(left_rows(probabilities_.data(), row_step(width)),
             {key_rows_.data() + key * 16, panel_step(length)},
             rows,
             dim,
             width,
             d_qkv + from * d_step + head * dim,
             d_step,
             key > 0);
    transpose_blocks(probability_tiles_.data(), kTileStep, width, rows);
    transpose_blocks(d_score_tiles_.data(), kTileStep, width, rows);
    float* d_key = d_keys + key * d_step;
    multiply(left_tiles(d_score_tiles_.data(), kTileStep),
             {query_panels_.data(), kTileStep},
             width,
             dim,
             rows,
             d_key,
             d_step,
             true);
    multiply(left_tiles(probability_tiles_.data(), kTileStep),
             {d_mixed_panels_.data(), kTileStep},
             width,
             dim,
             rows,
             d_key + shape_.key_size(),
             d_step,
             true);
  }
}

// Leaves the gradient of the scores in probabilities_ (rows) and d_score_tiles_ (panels), and the
// probabilities in probability_tiles_ (panels); two query rows at a time, as panels hold pairs. The
// first query stands `ahead` tokens behind the first key.
void Attention::score_gradients(
    const float* log_sums, const float* deltas, size_t rows, int ahead, size_t keys) {
  for (size_t i = 0; i < rows; i += 2) {
    const float* s0 = scores_.data() + i * (keys + 16);
    const float* s1 = s0 + keys + 16;
    const float* g0 = d_probabilities_.data() + i * (keys + 16);
    const float* g1 = g0 + keys + 16;
    Bf16* d0 = probabilities_.data() + i * row_step(keys);
    Bf16* d1 = d0 + row_step(keys);
    const float log0 = log_sums[i];
    const float log1 = log_sums[i + 1];
    const float delta0 = deltas[i];
    const float delta1 = deltas[i + 1];
    const size_t line = i / 2 * 32;
    for (size_t at = 0; at < keys; at += 16) {
      uint32_t p_words[16];
      uint32_t d_words[16];
      const int seen = ahead + static_cast<int>(i) - static_cast<int>(at);
      for (int j = 0; j < 16; ++j) {
        float p0 = exponential(s0[at + j] * scale_ - log0);
        float p1 = exponential(s1[at + j] * scale_ - log1);
        p0 = j <= seen ? p0 : 0.0F;
        p1 = j <= seen + 1 ? p1 : 0.0F;
        p_words[j] = bf16_pair(p0, p1);
        d_words[j] =
            bf16_pair(p0 * (g0[at + j] - delta0) * scale_, p1 * (g1[at + j] - delta1) * scale_);
      }
      for (int j = 0; j < 16; ++j) d0[at + j] = static_cast<Bf16>(d_words[j]);
      for (int j = 0; j < 16; ++j) d1[at + j] = static_cast<Bf16>(d_words[j] >> 16);
      __builtin_memcpy(probability_tiles_.data() + at / 16 * kTileStep + line, p_words, 64);
      __builtin_memcpy(d_score_tiles_.data() + at / 16 * kTileStep + line, d_words, 64);
    }
  }
}

}  // namespace starter
