#include "lane.h"

namespace starter {
namespace {

// Rows of a block: its float32 results stay in the second-level cache, and a weight gradient is
// read and written once per block.
constexpr size_t kBlock = 256;
constexpr size_t kBlockPanel = panel_step(kBlock);

// Columns of the feed-forward block that are computed together, for the same reason.
constexpr size_t kStrip = 128;

// The logits of a block and the embedding share the second-level cache; a group of blocks makes
// one product for the gradient of the embedding.
constexpr size_t kOutputBlock = 128;
constexpr size_t kOutputGroup = 512;
constexpr size_t kGroupPanel = panel_step(kOutputGroup);

// Float32 results of products have this many values between rows.
constexpr size_t wide_step(size_t columns) { return columns + 16; }

// The columns of a right operand from `column` on, a multiple of 16.
Right from_column(const Right& right, size_t column) {
  return {right.data + column / 16 * right.panel, right.panel};
}

float inverse_deviation(const float* x, size_t n, float eps) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return 1.0F / std::sqrt(sum / static_cast<float>(n) + eps);
}

void norm_row(const float* __restrict x,
              const float* __restrict weight,
              size_t n,
              float eps,
              float* __restrict out) {
  const float scale = inverse_deviation(x, n, eps);
  for (size_t i = 0; i < n; ++i) out[i] = x[i] * scale * weight[i];
}

void add_norm_gradient(const float* __restrict x,
                       const float* __restrict weight,
                       const float* __restrict d,
                       size_t n,
                       float eps,
                       float* __restrict d_x,
                       float* __restrict d_weight) {
  const float scale = inverse_deviation(x, n, eps);
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum += d[i] * weight[i] * x[i];
  const float along = sum * scale * scale / static_cast<float>(n);
  for (size_t i = 0; i < n; ++i) {
    d_x[i] += scale * (d[i] * weight[i] - x[i] * along);
    d_weight[i] += d[i] * x[i] * scale;
  }
}

void silu_row(const float* __restrict gate,
              const float* __restrict up,
              size_t n,
              float* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = gate[i] * up[i] / (1.0F + exponential(-gate[i]));
}

// d_inner: gradient of silu(gate) * up. Writes that product and both gradients.
void silu_gradient(const Bf16* __restrict gate,
                   const Bf16* __restrict up,
                   const float* __restrict d_inner,
                   size_t n,
                   float* __restrict inner,
                   float* __restrict d_gate,
                   float* __restrict d_up) {
  for (size_t i = 0; i < n; ++i) {
    const float g = from_bf16(gate[i]);
    const float u = from_bf16(up[i]);
    const float s = 1.0F / (1.0F + exponential(-g));
    inner[i] = g * s * u;
    d_gate[i] = d_inner[i] * u * s * (1.0F + g * (1.0F - s));
    d_up[i] = d_inner[i] * g * s;
  }
}

// Replaces values by e^(value - highest) and returns their sum.
float exponentials(float* values, size_t n, float highest) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) {
    values[i] = exponential(values[i] - highest);
    sum += values[i];
  }
  return sum;
}

// Cross entropy with a token; the logits become the gradient times `weight`.
float token_loss(float* logits, size_t n, size_t target, float weight) {
  const float highest = highest_of(logits, n);
  const float wanted = logits[target] - highest;
  const float sum = exponentials(logits, n, highest);
  const float factor = weight / sum;
  for (size_t i = 0; i < n; ++i) logits[i] *= factor;
  logits[target] -= weight;
  return std::log(sum) - wanted;
}

// Cross entropy with the softmax of `teacher`, which is overwritten.
float teacher_loss(float* logits, float* teacher, size_t n, float weight) {
  const float sum_teacher = exponentials(teacher, n, highest_of(teacher, n));
  const float highest = highest_of(logits, n);
  float along = 0;
  for (size_t i = 0; i < n; ++i) along += teacher[i] * (logits[i] - highest);
  const float sum = exponentials(logits, n, highest);
  const float factor = weight / sum;
  const float factor_teacher = weight / sum_teacher;
  for (size_t i = 0; i < n; ++i) logits[i] = logits[i] * factor - teacher[i] * factor_teacher;
  return std::log(sum) - along / sum_teacher;
}

}  // namespace

Lane::Lane(const Network& network, size_t tokens_max, size_t length_max, bool backward)
    : network_(network),
      shape_(network.shape()),
      attention_(network.shape().head, length_max),
      stream_(tokens_max * network.shape().hidden),
      final_rows_(tokens_max * row_step(network.shape().hidden)) {
  const size_t hidden = shape_.hidden;
  const size_t inner = shape_.inner;
  const size_t row = shape_.head.row_size();
  const size_t queries = shape_.head.query_size();
  const size_t widest = std::max({row, 2 * kStrip, hidden});
  for (size_t i = 0; i < shape_.layers; ++i) {
    saved_.push_back({Buffer<float>(tokens_max * hidden),
                      Buffer<float>(tokens_max * hidden),
                      Buffer<Bf16>(tokens_max * row_step(row)),
                      Buffer<Bf16>(tokens_max * row_step(queries)),
                      Buffer<Bf16>(tokens_max * 2 * inner),
                      Buffer<float>(tokens_max * shape_.head.heads)});
  }
  rows_ = Buffer<Bf16>(kBlock * row_step(widest));
  inner_rows_ = Buffer<Bf16>(kBlock * row_step(inner));
  wide_ = Buffer<float>(kBlock * std::max(wide_step(widest), 2 * wide_step(kStrip)));
  block_ = Buffer<float>(kBlock * wide_step(hidden));
  pair_ = Buffer<float>(2 * std::max({3 * kStrip, hidden}));
  logits_ = Buffer<float>(kOutputBlock * wide_step(shape_.vocab));
  if (!backward) return;
  teacher_logits_ = Buffer<float>(kOutputBlock * wide_step(shape_.vocab));
  gradient_ = Buffer<float>(Network::parameter_count(shape_));
  d_stream_ = Buffer<float>(tokens_max * hidden);
  d_qkv_ = Buffer<float>(length_max * wide_step(row));
  d_mixed_ = Buffer<Bf16>(tokens_max * row_step(queries));
  d_rows_ = Buffer<Bf16>(kBlock * row_step(std::max(row, 2 * inner)));
  d_tiles_ = Buffer<Bf16>(widest / 16 * kBlockPanel);
  stream_rows_ = Buffer<Bf16>(kBlock * row_step(hidden));
  stream_tiles_ = Buffer<Bf16>(hidden / 16 * kBlockPanel);
  norm_panels_ = Buffer<Bf16>(hidden / 16 * kBlockPanel);
  inner_panels_ = Buffer<Bf16>(std::max(kStrip, queries) / 16 * kBlockPanel);
  d_logit_rows_ = Buffer<Bf16>(kOutputBlock * row_step(shape_.vocab));
  d_logit_tiles_ = Buffer<Bf16>(shape_.vocab / 16 * kGroupPanel);
  final_panels_ = Buffer<Bf16>(hidden / 16 * kGroupPanel);
}

void Lane::forward(const int32_t* ids, size_t count, size_t length) {
  const size_t hidden = shape_.hidden;
  count_ = count;
  length_ = length;
  for (size_t t = 0; t < count; ++t) {
    const float* from = network_.weights() + static_cast<size_t>(ids[t]) * hidden;
    std::copy(from, from + hidden, saved_[0].input.data() + t * hidden);
  }
  const size_t qkv_step = row_step(shape_.head.row_size());
  const size_t mixed_step = row_step(shape_.head.query_size());
  for (size_t layer = 0; layer < shape_.layers; ++layer) {
    Saved& saved = saved_[layer];
    float* next = layer + 1 < shape_.layers ? saved_[layer + 1].input.data() : stream_.data();
    for (size_t from = 0; from < count; from += kBlock) {
      attention_inputs(layer, from, std::min(kBlock, count - from));
    }
    for (size_t from = 0; from < count; from += length) {
      attention_.forward(saved.qkv.data() + from * qkv_step,
                         length,
                         saved.mixed.data() + from * mixed_step,
                         saved.log_sums.data() + from * shape_.head.heads);
    }
    for (size_t from = 0; from < count; from += kBlock) {
      feed_forward(layer, from, std::min(kBlock, count - from), next);
    }
  }
  for (size_t t = 0; t < count; ++t) {
    norm_row(stream_.data() + t * hidden,
             network_.weights() + network_.last_norm(),
             hidden,
             shape_.norm_eps,
             pair_.data());
    store_row(pair_.data(), hidden, final_rows_.data() + t * row_step(hidden));
  }
}

void Lane::attention_inputs(size_t layer, size_t from, size_t rows) {
  const size_t hidden = shape_.hidden;
  const size_t row = shape_.head.row_size();
  Saved& saved = saved_[layer];
  const float* weight = network_.weights() + network_.layer(layer).norm1;
  for (size_t i = 0; i < rows; ++i) {
    norm_row(
        saved.input.data() + (from + i) * hidden, weight, hidden, shape_.norm_eps, pair_.data());
    store_row(pair_.data(), hidden, rows_.data() + i * row_step(hidden));
  }
  multiply(left_rows(rows_.data(), row_step(hidden)),
           network_.qkv(layer).forward(),
           rows,
           row,
           hidden,
           wide_.data(),
           wide_step(row),
           false);
  for (size_t i = 0; i < rows; ++i) {
    float* values = wide_.data() + i * wide_step(row);
    network_.rotate(values, (from + i) % length_, 1.0F);
    store_row(values, row, saved.qkv.data() + (from + i) * row_step(row));
  }
}

void Lane::feed_forward(size_t layer, size_t from, size_t rows, float* next) {
  const size_t hidden = shape_.hidden;
  const size_t inner = shape_.inner;
  const size_t queries = shape_.head.query_size();
  Saved& saved = saved_[layer];
  float* middle = saved.middle.data() + from * hidden;
  std::copy_n(saved.input.data() + from * hidden, rows * hidden, middle);
  multiply(left_rows(saved.mixed.data() + from * row_step(queries), row_step(queries)),
           network_.out(layer).forward(),
           rows,
           hidden,
           queries,
           middle,
           hidden,
           true);
  const float* weight = network_.weights() + network_.layer(layer).norm2;
  for (size_t i = 0; i < rows; ++i) {
    norm_row(middle + i * hidden, weight, hidden, shape_.norm_eps, pair_.data());
    store_row(pair_.data(), hidden, rows_.data() + i * row_step(hidden));
  }
  const Right gate_up = network_.gate_up(layer).forward();
  for (size_t at = 0; at < inner; at += kStrip) {
    const size_t width = std::min(kStrip, inner - at);
    float* gate = wide_.data();
    float* up = gate + kBlock * wide_step(width);
    multiply(left_rows(rows_.data(), row_step(hidden)),
             from_column(gate_up, at),
             rows,
             width,
             hidden,
             gate,
             wide_step(width),
             false);
    multiply(left_rows(rows_.data(), row_step(hidden)),
             from_column(gate_up, inner + at),
             rows,
             width,
             hidden,
             up,
             wide_step(width),
             false);
    for (size_t i = 0; i < rows; ++i) {
      Bf16* saved_row = saved.gate_up.data() + 2 * (from * inner + at * rows + i * width);
      store_row(gate, width, saved_row);
      store_row(up, width, saved_row + width);
      silu_row(gate, up, width, pair_.data());
      store_row(pair_.data(), width, inner_rows_.data() + i * row_step(inner) + at);
      gate += wide_step(width);
      up += wide_step(width);
    }
  }
  float* out = next + from * hidden;
  std::copy_n(middle, rows * hidden, out);
  multiply(left_rows(inner_rows_.data(), row_step(inner)),
           network_.down(layer).forward(),
           rows,
           hidden,
           inner,
           out,
           hidden,
           true);
}

void Lane::logits(size_t index, float* out) {
  // Products take whole tiles: the block of 16 tokens that holds this one.
  const size_t first = index / 16 * 16;
  const size_t step = row_step(shape_.hidden);
  multiply(left_rows(final_rows_.data() + first * step, step),
           network_.embedding().forward(),
           16,
           shape_.vocab,
           shape_.hidden,
           logits_.data(),
           wide_step(shape_.vocab),
           false);
  const float* row = logits_.data() + (index - first) * wide_step(shape_.vocab);
  std::copy(row, row + shape_.vocab, out);
}

LossSums Lane::backward(const int32_t* ids,
                        const int32_t* targets,
                        const float* weights,
                        float share,
                        const Lane* teacher,
                        bool accumulate) {
  if (!accumulate) {
    // Matrices are overwritten by their first product; norms only ever add.
    float* gradient = gradient_.data();
    for (size_t i = 0; i < shape_.layers; ++i) {
      std::fill_n(gradient + network_.layer(i).norm1, shape_.hidden, 0.0F);
      std::fill_n(gradient + network_.layer(i).norm2, shape_.hidden, 0.0F);
    }
    std::fill_n(gradient + network_.last_norm(), shape_.hidden, 0.0F);
  }
  const LossSums sums = output(targets, weights, share, teacher, accumulate);
  for (size_t layer = shape_.layers; layer-- > 0;) {
    for (size_t from = 0; from < count_; from += kBlock) {
      feed_forward_gradient(layer, from, std::min(kBlock, count_ - from), accumulate || from > 0);
    }
    for (size_t from = 0; from < count_; from += kBlock) {
      out_gradient(layer, from, std::min(kBlock, count_ - from), accumulate || from > 0);
    }
    const size_t qkv_step = row_step(shape_.head.row_size());
    const size_t mixed_step = row_step(shape_.head.query_size());
    Saved& saved = saved_[layer];
    for (size_t row = 0; row < count_; row += length_) {
      attention_.backward(saved.qkv.data() + row * qkv_step,
                          saved.mixed.data() + row * mixed_step,
                          saved.log_sums.data() + row * shape_.head.heads,
                          d_mixed_.data() + row * mixed_step,
                          length_,
                          d_qkv_.data());
      for (size_t at = 0; at < length_; at += kBlock) {
        qkv_gradient(layer, row, at, std::min(kBlock, length_ - at), accumulate || row + at > 0);
      }
    }
  }
  for (size_t t = 0; t < count_; ++t) {
    const float* d = d_stream_.data() + t * shape_.hidden;
    float* out = gradient_.data() + static_cast<size_t>(ids[t]) * shape_.hidden;
    for (size_t c = 0; c < shape_.hidden; ++c) out[c] += d[c];
  }
  return sums;
}

LossSums Lane::output(const int32_t* targets,
                      const float* weights,
                      float share,
                      const Lane* teacher,
                      bool accumulate) {
  const size_t hidden = shape_.hidden;
  LossSums sums;
  std::fill_n(d_stream_.data(), count_ * hidden, 0.0F);
  for (size_t group = 0; group < count_; group += kOutputGroup) {
    const size_t group_rows = std::min(kOutputGroup, count_ - group);
    for (size_t at = 0; at < group_rows; at += kOutputBlock) {
      const size_t rows = std::min(kOutputBlock, group_rows - at);
      const LossSums part = output_block(targets, weights, share, teacher, group + at, rows, at);
      sums.weighted += part.weighted;
      sums.written += part.written;
      sums.written_count += part.written_count;
    }
    rows_to_panels(final_rows_.data() + group * row_step(hidden),
                   row_step(hidden),
                   group_rows,
                   hidden,
                   final_panels_.data(),
                   kGroupPanel);
    transpose_blocks(d_logit_tiles_.data(), kGroupPanel, shape_.vocab, group_rows);
    multiply(left_tiles(d_logit_tiles_.data(), kGroupPanel),
             {final_panels_.data(), kGroupPanel},
             shape_.vocab,
             hidden,
             group_rows,
             gradient_.data(),
             hidden,
             accumulate || group > 0);
  }
  return sums;
}

LossSums Lane::output_block(const int32_t* targets,
                            const float* weights,
                            float share,
                            const Lane* teacher,
                            size_t from,
                            size_t rows,
                            size_t line) {
  const size_t hidden = shape_.hidden;
  const size_t vocab = shape_.vocab;
  const size_t step = wide_step(vocab);
  const auto all_logits = [&](const Lane& lane, float* out) {
    const size_t size = lane.shape_.hidden;
    multiply(left_rows(lane.final_rows_.data() + from * row_step(size), row_step(size)),
             lane.network_.embedding().forward(),
             rows,
             vocab,
             size,
             out,
             step,
             false);
  };
  all_logits(*this, logits_.data());
  if (teacher != nullptr) all_logits(*teacher, teacher_logits_.data());
  LossSums sums;
  for (size_t i = 0; i < rows; ++i) {
    const size_t t = from + i;
    float* row = logits_.data() + i * step;
    const float weight = weights[t] * share;
    const float loss = teacher == nullptr
                           ? token_loss(row, vocab, static_cast<size_t>(targets[t]), weight)
                           : teacher_loss(row, teacher_logits_.data() + i * step, vocab, weight);
    sums.weighted += static_cast<double>(loss) * static_cast<double>(weight);
    if (weights[t] == 1.0F) {
      sums.written += static_cast<double>(loss);
      ++sums.written_count;
    }
    store_row(row, vocab, d_logit_rows_.data() + i * row_step(vocab));
    if (i % 2 == 1) {
      store_pair(row - step, row, vocab, d_logit_tiles_.data() + (line + i) / 2 * 32, kGroupPanel);
    }
  }
  multiply(left_rows(d_logit_rows_.data(), row_step(vocab)),
           network_.embedding().backward(),
           rows,
           hidden,
           vocab,
           block_.data(),
           wide_step(hidden),
           false);
  norm_gradient(stream_.data() + from * hidden, network_.last_norm(), from, rows);
  return sums;
}

void Lane::feed_forward_gradient(size_t layer, size_t from, size_t rows, bool accumulate) {
  const size_t hidden = shape_.hidden;
  const size_t inner = shape_.inner;
  const LayerPlace& place = network_.layer(layer);
  Saved& saved = saved_[layer];
  stream_operands(from, rows);
  const float* middle = saved.middle.data() + from * hidden;
  norm_operand(middle, place.norm2, rows);
  for (size_t at = 0; at < inner; at += kStrip) {
    const size_t width = std::min(kStrip, inner - at);
    multiply(left_rows(stream_rows_.data(), row_step(hidden)),
             from_column(network_.down(layer).backward(), at),
             rows,
             width,
             hidden,
             wide_.data(),
             wide_step(width),
             false);
    inner_gradients(saved.gate_up.data() + 2 * (from * inner + at * rows), at, width, rows);
    multiply(left_tiles(stream_tiles_.data(), kBlockPanel),
             {inner_panels_.data(), kBlockPanel},
             hidden,
             width,
             rows,
             gradient_.data() + place.down + at,
             inner,
             accumulate);
    const size_t d_up = width / 16 * kBlockPanel;
    multiply(left_tiles(d_tiles_.data(), kBlockPanel),
             {norm_panels_.data(), kBlockPanel},
             width,
             hidden,
             rows,
             gradient_.data() + place.gate_up + at * hidden,
             hidden,
             accumulate);
    multiply(left_tiles(d_tiles_.data() + d_up, kBlockPanel),
             {norm_panels_.data(), kBlockPanel},
             width,
             hidden,
             rows,
             gradient_.data() + place.gate_up + (inner + at) * hidden,
             hidden,
             accumulate);
  }
  input_gradient(network_.gate_up(layer), middle, place.norm2, from, rows);
}

// One strip of columns of the feed-forward block, given the gradient of silu(gate) * up in wide_:
// leaves that product in inner_panels_, and the gradients of gate and up in their columns of
// d_rows_ and, one after the other, in d_tiles_.
void Lane::inner_gradients(const Bf16* gate, size_t at, size_t width, size_t rows) {
  const size_t inner = shape_.inner;
  float* inner_pair = pair_.data();        // (2, width)
  float* d_pair = inner_pair + 2 * width;  // (2, 2 * width)
  for (size_t i = 0; i < rows; ++i, gate += 2 * width) {
    float* d = d_pair + i % 2 * 2 * width;
    silu_gradient(gate,
                  gate + width,
                  wide_.data() + i * wide_step(width),
                  width,
                  inner_pair + i % 2 * width,
                  d,
                  d + width);
    Bf16* row = d_rows_.data() + i * row_step(2 * inner) + at;
    store_row(d, width, row);
    store_row(d + width, width, row + inner);
    if (i % 2 == 0) continue;
    const size_t line = i / 2 * 32;
    store_pair(inner_pair, inner_pair + width, width, inner_panels_.data() + line, kBlockPanel);
    store_pair(d_pair, d_pair + 2 * width, 2 * width, d_tiles_.data() + line, kBlockPanel);
  }
  transpose_blocks(d_tiles_.data(), kBlockPanel, 2 * width, rows);
}

void Lane::out_gradient(size_t layer, size_t from, size_t rows, bool accumulate) {
  const size_t hidden = shape_.hidden;
  const size_t queries = shape_.head.query_size();
  const size_t step = row_step(queries);
  stream_operands(from, rows);
  multiply(left_rows(stream_rows_.data(), row_step(hidden)),
           network_.out(layer).backward(),
           rows,
           queries,
           hidden,
           wide_.data(),
           wide_step(queries),
           false);
  for (size_t i = 0; i < rows; ++i) {
    store_row(wide_.data() + i * wide_step(queries), queries, d_mixed_.data() + (from + i) * step);
  }
  rows_to_panels(saved_[layer].mixed.data() + from * step,
                 step,
                 rows,
                 queries,
                 inner_panels_.data(),
                 kBlockPanel);
  multiply(left_tiles(stream_tiles_.data(), kBlockPanel),
           {inner_panels_.data(), kBlockPanel},
           hidden,
           queries,
           rows,
           gradient_.data() + network_.layer(layer).out,
           queries,
           accumulate);
}

void Lane::qkv_gradient(size_t layer, size_t row, size_t at, size_t rows, bool accumulate) {
  const size_t size = shape_.head.row_size();
  const LayerPlace& place = network_.layer(layer);
  const size_t step = wide_step(size);
  for (size_t i = 0; i < rows; ++i) {
    float* d = d_qkv_.data() + (at + i) * step;
    network_.rotate(d, at + i, -1.0F);
    store_row(d, size, d_rows_.data() + i * row_step(size));
    if (i % 2 == 1) store_pair(d - step, d, size, d_tiles_.data() + i / 2 * 32, kBlockPanel);
  }
  transpose_blocks(d_tiles_.data(), kBlockPanel, size, rows);
  const float* input = saved_[layer].input.data() + (row + at) * shape_.hidden;
  norm_operand(input, place.norm1, rows);
  multiply(left_tiles(d_tiles_.data(), kBlockPanel),
           {norm_panels_.data(), kBlockPanel},
           size,
           shape_.hidden,
           rows,
           gradient_.data() + place.qkv,
           shape_.hidden,
           accumulate);
  input_gradient(network_.qkv(layer), input, place.norm1, row + at, rows);
}

void Lane::norm_operand(const float* stream, size_t norm, size_t rows) {
  const size_t hidden = shape_.hidden;
  for (size_t i = 0; i < rows; ++i) {
    float* out = pair_.data() + i % 2 * hidden;
    norm_row(stream + i * hidden, network_.weights() + norm, hidden, shape_.norm_eps, out);
    if (i % 2 == 1) {
      store_pair(out - hidden, out, hidden, norm_panels_.data() + i / 2 * 32, kBlockPanel);
    }
  }
}

void Lane::input_gradient(
    const Operand& operand, const float* stream, size_t norm, size_t from, size_t rows) {
  const size_t hidden = shape_.hidden;
  multiply(left_rows(d_rows_.data(), row_step(operand.rows())),
           operand.backward(),
           rows,
           hidden,
           operand.rows(),
           block_.data(),
           wide_step(hidden),
           false);
  norm_gradient(stream, norm, from, rows);
}

void Lane::stream_operands(size_t from, size_t rows) {
  const size_t hidden = shape_.hidden;
  for (size_t i = 0; i < rows; ++i) {
    const float* d = d_stream_.data() + (from + i) * hidden;
    store_row(d, hidden, stream_rows_.data() + i * row_step(hidden));
    if (i % 2 == 1) {
      store_pair(d - hidden, d, hidden, stream_tiles_.data() + i / 2 * 32, kBlockPanel);
    }
  }
  transpose_blocks(stream_tiles_.data(), kBlockPanel, hidden, rows);
}

void Lane::norm_gradient(const float* stream, size_t norm, size_t from, size_t rows) {
  const size_t hidden = shape_.hidden;
  for (size_t i = 0; i < rows; ++i) {
    add_norm_gradient(stream + i * hidden,
                      network_.weights() + norm,
                      block_.data() + i * wide_step(hidden),
                      hidden,
                      shape_.norm_eps,
                      d_stream_.data() + (from + i) * hidden,
                      gradient_.data() + norm);
  }
}

}  // namespace starter
