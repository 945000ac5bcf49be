#include "network.h"

namespace starter {

void Operand::pack(const float* values, size_t first, size_t count, Bf16* scratch) {
  const size_t step = row_step(columns_);
  for (size_t at = 0; at < count; at += 32) {
    for (size_t i = 0; i < 32; ++i) {
      store_row(values + (at + i) * columns_, columns_, scratch + i * step);
    }
    const size_t row = first + at;
    rows_to_transposed_panels(scratch,
                              step,
                              32,
                              columns_,
                              forward_.data() + row / 16 * panel_step(columns_),
                              panel_step(columns_));
    rows_to_panels(scratch, step, 32, columns_, backward_.data() + row * 16, panel_step(rows_));
  }
}

Network::Network(const Shape& shape, size_t length_max, float* weights)
    : shape_(shape),
      weights_(weights),
      cos_(length_max * shape.head.head_dim / 2),
      sin_(length_max * shape.head.head_dim / 2) {
  const size_t hidden = shape.hidden;
  const size_t queries = shape.head.query_size();
  const size_t keys = shape.head.key_size();
  operands_.reserve(1 + 4 * shape.layers);
  size_t at = 0;
  const auto add = [&](size_t rows, size_t columns, size_t operand, size_t first_row) {
    matrices_.push_back({at, rows, columns, operand, first_row});
    at += rows * columns;
  };
  add(shape.vocab, hidden, 0, 0);
  operands_.emplace_back(shape.vocab, hidden);
  for (size_t i = 0; i < shape.layers; ++i) {
    LayerPlace place{};
    const size_t first = operands_.size();
    place.norm1 = at;
    at += hidden;
    place.qkv = at;
    add(queries, hidden, first, 0);
    add(keys, hidden, first, queries);
    add(keys, hidden, first, queries + keys);
    place.out = at;
    add(hidden, queries, first + 1, 0);
    place.norm2 = at;
    at += hidden;
    place.gate_up = at;
    add(shape.inner, hidden, first + 2, 0);
    add(shape.inner, hidden, first + 2, shape.inner);
    place.down = at;
    add(hidden, shape.inner, first + 3, 0);
    layers_.push_back(place);
    operands_.emplace_back(shape.head.row_size(), hidden);
    operands_.emplace_back(hidden, queries);
    operands_.emplace_back(2 * shape.inner, hidden);
    operands_.emplace_back(hidden, shape.inner);
  }
  last_norm_ = at;
  const size_t half = shape.head.head_dim / 2;
  for (size_t i = 0; i < half; ++i) {
    const float frequency = std::pow(
        shape.rope_theta, -static_cast<float>(2 * i) / static_cast<float>(shape.head.head_dim));
    for (size_t t = 0; t < length_max; ++t) {
      const float angle = static_cast<float>(t) * frequency;
      cos_.data()[t * half + i] = std::cos(angle);
      sin_.data()[t * half + i] = std::sin(angle);
    }
  }
}

size_t Network::parameter_count(const Shape& shape) {
  const size_t layer = 2 * shape.hidden +
                       (shape.head.row_size() + shape.head.query_size()) * shape.hidden +
                       3 * shape.inner * shape.hidden;
  return shape.vocab * shape.hidden + shape.layers * layer + shape.hidden;
}

const char* Network::refusal(const Shape& shape) {
  if (shape.hidden % 32 != 0 || shape.hidden == 0) return "hidden_size is no multiple of 32";
  if (shape.inner % 32 != 0 || shape.inner == 0) return "intermediate_size is no multiple of 32";
  if (shape.vocab % 32 != 0 || shape.vocab == 0) return "vocab_size is no multiple of 32";
  if (shape.head.head_dim % 32 != 0 || shape.head.head_dim == 0) {
    return "head_dim is no multiple of 32";
  }
  if (shape.head.kv_heads == 0 || shape.head.heads % shape.head.kv_heads != 0) {
    return "num_attention_heads is no multiple of num_key_value_heads";
  }
  if (shape.layers == 0) return "there is no layer";
  return nullptr;
}

size_t Network::scratch_size() const {
  size_t most = 0;
  for (const Operand& operand : operands_) most = std::max(most, operand.columns());
  return 32 * row_step(most);
}

void Network::pack(const MatrixPlace& place, Bf16* scratch) {
  operands_[place.operand].pack(weights_ + place.offset, place.first_row, place.rows, scratch);
}

void Network::rotate(float* row, size_t position, float direction) const {
  const size_t half = shape_.head.head_dim / 2;
  const float* c = cos_.data() + position * half;
  const float* s = sin_.data() + position * half;
  for (size_t head = 0; head < shape_.head.heads + shape_.head.kv_heads; ++head) {
    float* first = row + head * 2 * half;
    float* second = first + half;
    for (size_t i = 0; i < half; ++i) {
      const float a = first[i];
      const float b = second[i];
      const float turn = direction * s[i];
      first[i] = a * c[i] - b * turn;
      second[i] = b * c[i] + a * turn;
    }
  }
}

}  // namespace starter
