#include "optimizer.h"

namespace starter {
namespace {

constexpr int kIterations = 5;
constexpr float kA = 3.4445F;
constexpr float kB = -4.7750F;
constexpr float kC = 2.0315F;

constexpr float kBeta1 = 0.9F;
constexpr float kBeta2 = 0.95F;
constexpr float kEpsilon = 1e-8F;

// The embedding is updated and packed in parts of so many rows.
constexpr size_t kEmbeddingRows = 256;

}  // namespace

Optimizer::Bench::Bench(const Network& network) : pack(network.scratch_size()) {
  size_t values = 0;
  size_t least = 0;
  size_t most = 0;
  for (size_t i = 1; i < network.matrices().size(); ++i) {
    const MatrixPlace& place = network.matrices()[i];
    values = std::max(values, place.rows * place.columns);
    least = std::max(least, std::min(place.rows, place.columns));
    most = std::max(most, std::max(place.rows, place.columns));
  }
  update = Buffer<float>(values);
  turned = Buffer<float>(values);
  product = Buffer<float>(least * (most + 16));
  gram = Buffer<float>(least * (least + 16));
  rows = Buffer<Bf16>(least * row_step(most));
  columns = Buffer<Bf16>(least / 16 * panel_step(most));
  gram_rows = Buffer<Bf16>(least * row_step(least));
  gram_panels = Buffer<Bf16>(least / 16 * panel_step(least));
  panels = Buffer<Bf16>(most / 16 * panel_step(least));
}

Optimizer::Optimizer(Network& network, size_t threads) : network_(network) {
  benches_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) benches_.emplace_back(network);
}

void Optimizer::update(
    Team& team, const GradientParts& gradient, OptimizerState state, int64_t step, float scale) {
  const Shape& shape = network_.shape();
  const std::vector<MatrixPlace>& matrices = network_.matrices();
  const size_t embedding_parts = (shape.vocab + kEmbeddingRows - 1) / kEmbeddingRows;
  const size_t items = matrices.size() - 1 + embedding_parts + 1;
  next_ = 0;
  team.run([&](size_t thread) {
    Bench& bench = benches_[thread];
    for (size_t item = next_++; item < items; item = next_++) {
      if (item + 1 < matrices.size()) {
        // The last matrices first: the largest of a layer come last.
        const MatrixPlace& place = matrices[matrices.size() - 1 - item];
        update_matrix(place, bench, gradient, state.first, scale);
      } else if (item + 1 < items) {
        const size_t row = (item + 1 - matrices.size()) * kEmbeddingRows;
        const size_t rows = std::min(kEmbeddingRows, shape.vocab - row);
        update_other(row * shape.hidden, rows * shape.hidden, gradient, state, step, scale);
        network_.pack({row * shape.hidden, rows, shape.hidden, 0, row}, bench.pack.data());
      } else {
        for (size_t i = 0; i < shape.layers; ++i) {
          update_other(network_.layer(i).norm1, shape.hidden, gradient, state, step, scale);
          update_other(network_.layer(i).norm2, shape.hidden, gradient, state, step, scale);
        }
        update_other(network_.last_norm(), shape.hidden, gradient, state, step, scale);
      }
    }
  });
}

void Optimizer::update_matrix(const MatrixPlace& place,
                              Bench& bench,
                              const GradientParts& gradient,
                              float* momentum,
                              float scale) {
  const size_t count = place.rows * place.columns;
  float* state = momentum + place.offset;
  float* update = bench.update.data();
  float squares = 0;
  for (size_t i = 0; i < count; ++i) {
    const float g = gradient.at(place.offset + i);
    state[i] = kMomentum * state[i] + g;
    update[i] = g + kMomentum * state[i];
    squares += update[i] * update[i];
  }
  const float size = 1.0F / (std::sqrt(squares) + 1e-7F);
  for (size_t i = 0; i < count; ++i) update[i] *= size;
  if (place.rows > place.columns) {
    transpose(update, place.rows, place.columns, bench.turned.data());
    orthogonalise(bench, place.columns, place.rows, bench.turned.data());
    transpose(bench.turned.data(), place.columns, place.rows, update);
  } else {
    orthogonalise(bench, place.rows, place.columns, update);
  }
  const float shape = static_cast<float>(place.rows) / static_cast<float>(place.columns);
  const float rate = scale * kMatrixRate * std::sqrt(std::max(1.0F, shape));
  const float keep = 1.0F - scale * kMatrixRate * kDecay / 2.0F;
  float* weights = network_.weights() + place.offset;
  for (size_t i = 0; i < count; ++i) weights[i] = weights[i] * keep - rate * update[i];
  network_.pack(place, bench.pack.data());
}

// Newton-Schulz iteration on x (rows, columns), rows <= columns: x <- a x + (b G + c G G) x with
// G = x x^T; x, G and the sum are rounded to bfloat16.
void Optimizer::orthogonalise(Bench& bench, size_t rows, size_t columns, float* x) {
  const size_t gram_step = rows + 16;
  const size_t step = columns + 16;
  float* gram = bench.gram.data();
  float* product = bench.product.data();
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    for (size_t i = 0; i < rows; ++i) {
      store_row(x + i * columns, columns, bench.rows.data() + i * row_step(columns));
    }
    rows_to_transposed_panels(bench.rows.data(),
                              row_step(columns),
                              rows,
                              columns,
                              bench.columns.data(),
                              panel_step(columns));
    rows_to_panels(
        bench.rows.data(), row_step(columns), rows, columns, bench.panels.data(), panel_step(rows));
    multiply(left_rows(bench.rows.data(), row_step(columns)),
             {bench.columns.data(), panel_step(columns)},
             rows,
             rows,
             columns,
             gram,
             gram_step,
             false);
    for (size_t i = 0; i < rows; ++i) {
      store_row(gram + i * gram_step, rows, bench.gram_rows.data() + i * row_step(rows));
    }
    rows_to_panels(bench.gram_rows.data(),
                   row_step(rows),
                   rows,
                   rows,
                   bench.gram_panels.data(),
                   panel_step(rows));
    multiply(left_rows(bench.gram_rows.data(), row_step(rows)),
             {bench.gram_panels.data(), panel_step(rows)},
             rows,
             rows,
             rows,
             product,
             gram_step,
             false);
    for (size_t i = 0; i < rows; ++i) {
      float* g = gram + i * gram_step;
      const float* gg = product + i * gram_step;
      for (size_t j = 0; j < rows; ++j) g[j] = kB * round_to_bf16(g[j]) + kC * gg[j];
      store_row(g, rows, bench.gram_rows.data() + i * row_step(rows));
    }
    multiply(left_rows(bench.gram_rows.data(), row_step(rows)),
             {bench.panels.data(), panel_step(rows)},
             rows,
             columns,
             rows,
             product,
             step,
             false);
    for (size_t i = 0; i < rows; ++i) {
      const float* y = product + i * step;
      float* out = x + i * columns;
      for (size_t j = 0; j < columns; ++j) out[j] = kA * round_to_bf16(out[j]) + y[j];
    }
  }
}

void Optimizer::update_other(size_t from,
                             size_t count,
                             const GradientParts& gradient,
                             OptimizerState state,
                             int64_t step,
                             float scale) {
  const auto steps = static_cast<double>(step);
  const auto rate = static_cast<float>(static_cast<double>(kOtherRate * scale) /
                                       (1.0 - std::pow(static_cast<double>(kBeta1), steps)));
  const auto root =
      static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(static_cast<double>(kBeta2), steps)));
  float* weights = network_.weights();
  for (size_t i = from; i < from + count; ++i) {
    const float g = gradient.at(i);
    state.first[i] = kBeta1 * state.first[i] + (1.0F - kBeta1) * g;
    state.second[i] = kBeta2 * state.second[i] + (1.0F - kBeta2) * g * g;
    weights[i] -= rate * state.first[i] / (std::sqrt(state.second[i]) * root + kEpsilon);
  }
}

}  // namespace starter
