#include "starter_step.h"

#include <exception>
#include <memory>
#include <string>

#include "lane.h"
#include "optimizer.h"

namespace starter {
namespace {

thread_local std::string last_error;

int fail(std::string message) {
  last_error = std::move(message);
  return -1;
}

bool positive(const starter_step_shape& s) {
  for (const int32_t value : {s.vocab,
                              s.hidden,
                              s.inner,
                              s.layers,
                              s.heads,
                              s.kv_heads,
                              s.head_dim,
                              s.threads,
                              s.tokens,
                              s.length}) {
    if (value <= 0) return false;
  }
  return true;
}

Shape shape_of(const starter_step_shape& s) {
  const auto size = [](int32_t value) { return static_cast<size_t>(value); };
  return {size(s.vocab),
          size(s.hidden),
          size(s.inner),
          size(s.layers),
          {size(s.heads), size(s.kv_heads), size(s.head_dim)},
          s.rope_theta,
          s.norm_eps};
}

size_t tiles(size_t tokens) { return (tokens + 31) / 32 * 32; }

}  // namespace
}  // namespace starter

using starter::GradientParts;
using starter::Lane;
using starter::LossSums;

struct starter_step {
  starter_step(const starter_step_shape& limits, float* weights)
      : network(
            starter::shape_of(limits), starter::tiles(static_cast<size_t>(limits.length)), weights),
        team(static_cast<size_t>(limits.threads)),
        tokens_max(static_cast<size_t>(limits.tokens)),
        length_max(starter::tiles(static_cast<size_t>(limits.length))),
        trains(limits.backward != 0) {
    // A lane takes whole rows: up to one row more than an equal share.
    const size_t lane_tokens =
        starter::tiles(tokens_max / team.size()) + (team.size() > 1 ? length_max : 0);
    lanes.resize(team.size());
    sums.resize(team.size());
    for (auto& lane : lanes) {
      lane = std::make_unique<Lane>(network, std::max(lane_tokens, length_max), length_max, trains);
    }
    ids.resize(length_max);
    if (trains) optimizer = std::make_unique<starter::Optimizer>(network, team.size());
    pack();
  }

  void pack() {
    std::vector<starter::Bf16> scratch(network.scratch_size());
    for (const auto& place : network.matrices()) network.pack(place, scratch.data());
  }

  GradientParts parts() const {
    GradientParts parts{};
    for (size_t i = 0; i < used; ++i) parts.parts[parts.count++] = lanes[i]->gradient();
    return parts;
  }

  starter::Network network;
  starter::Team team;
  size_t tokens_max, length_max;
  bool trains;
  size_t used = 0;  // lanes that hold a gradient
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<LossSums> sums;
  std::vector<int32_t> ids;
  std::unique_ptr<starter::Optimizer> optimizer;
};

namespace {

// Empty where the arguments of a gradient fit, else what is wrong.
std::string misfit(const starter_step& step,
                   const starter_step* teacher,
                   const int32_t* ids,
                   const int32_t* targets,
                   int32_t rows,
                   int32_t length) {
  if (!step.trains) return "the model was created without `backward`";
  if (rows <= 0 || length <= 0 || length % 32 != 0) {
    return "rows of " + std::to_string(length) + " tokens: the length must be a multiple of 32";
  }
  const auto count = static_cast<size_t>(rows) * static_cast<size_t>(length);
  for (const starter_step* one : {&step, teacher}) {
    if (one == nullptr) continue;
    if (static_cast<size_t>(length) > one->length_max || count > one->tokens_max) {
      return std::to_string(rows) + " rows of " + std::to_string(length) +
             " tokens are more than the model was created for";
    }
  }
  const size_t vocab = step.network.shape().vocab;
  if (teacher != nullptr &&
      (teacher->network.shape().vocab != vocab || teacher->team.size() < step.team.size())) {
    return "the teacher has another vocabulary, or fewer threads";
  }
  for (size_t i = 0; i < count; ++i) {
    if (static_cast<size_t>(ids[i]) >= vocab || static_cast<size_t>(targets[i]) >= vocab) {
      return "token " + std::to_string(i) + " is outside of the vocabulary";
    }
  }
  return {};
}

}  // namespace

const char* starter_step_error() { return starter::last_error.c_str(); }

starter_step* starter_step_create(const starter_step_shape* shape, float* weights, int64_t count) {
  if (!starter::positive(*shape) || static_cast<size_t>(shape->threads) > GradientParts::kMost) {
    starter::fail("a size is not positive, or there are more than 64 threads");
    return nullptr;
  }
  const starter::Shape sizes = starter::shape_of(*shape);
  if (const char* refusal = starter::Network::refusal(sizes)) {
    starter::fail(refusal);
    return nullptr;
  }
  const auto wanted = static_cast<int64_t>(starter::Network::parameter_count(sizes));
  if (count != wanted) {
    starter::fail("the shape has " + std::to_string(wanted) + " parameters, not " +
                  std::to_string(count));
    return nullptr;
  }
  if (!starter::machine_fits()) {
    starter::fail("this build needs a processor with AMX tiles; build it on this machine");
    return nullptr;
  }
  try {
    return new starter_step(*shape, weights);
  } catch (const std::exception& error) {
    starter::fail(error.what());
    return nullptr;
  }
}

void starter_step_destroy(starter_step* step) { delete step; }

void starter_step_weights_changed(starter_step* step) { step->pack(); }

int starter_step_gradient(starter_step* step,
                          starter_step* teacher,
                          const int32_t* ids,
                          const int32_t* targets,
                          const float* weights,
                          int32_t rows,
                          int32_t length,
                          double report[3]) {
  std::string problem = misfit(*step, teacher, ids, targets, rows, length);
  if (!problem.empty()) return starter::fail(std::move(problem));
  const auto row_count = static_cast<size_t>(rows);
  const auto row_tokens = static_cast<size_t>(length);
  double total = 0;
  for (size_t i = 0; i < row_count * row_tokens; ++i) total += static_cast<double>(weights[i]);
  if (!(total > 0)) return starter::fail("no token has a weight");
  const auto share = static_cast<float>(1.0 / total);
  step->used = std::min(step->team.size(), row_count);
  step->team.run([&](size_t thread) {
    if (thread >= step->used) return;
    const size_t first = row_count * thread / step->used * row_tokens;
    const size_t count = row_count * (thread + 1) / step->used * row_tokens - first;
    Lane& lane = *step->lanes[thread];
    Lane* guide = teacher == nullptr ? nullptr : teacher->lanes[thread].get();
    if (guide != nullptr) guide->forward(ids + first, count, row_tokens);
    lane.forward(ids + first, count, row_tokens);
    step->sums[thread] =
        lane.backward(ids + first, targets + first, weights + first, share, guide, false);
  });
  report[0] = report[1] = report[2] = 0;
  for (size_t i = 0; i < step->used; ++i) {
    report[0] += step->sums[i].weighted;
    report[1] += step->sums[i].written;
    report[2] += static_cast<double>(step->sums[i].written_count);
  }
  return 0;
}

void starter_step_read_gradient(const starter_step* step, float* out) {
  const GradientParts parts = step->parts();
  const size_t count = starter::Network::parameter_count(step->network.shape());
  for (size_t i = 0; i < count; ++i) out[i] = parts.at(i);
}

void starter_step_write_gradient(starter_step* step, const float* values) {
  std::copy_n(
      values, starter::Network::parameter_count(step->network.shape()), step->lanes[0]->gradient());
  step->used = 1;
}

void starter_step_update(
    starter_step* step, float* first, float* second, int64_t number, float scale) {
  step->optimizer->update(step->team, step->parts(), {first, second}, number, scale);
}

int starter_step_logits(starter_step* step, const int32_t* ids, int32_t length, float* out) {
  const auto count = static_cast<size_t>(length);
  if (length <= 0 || count > step->length_max) return starter::fail("the row is too long");
  for (size_t i = 0; i < count; ++i) {
    if (static_cast<size_t>(ids[i]) >= step->network.shape().vocab) {
      return starter::fail("token " + std::to_string(i) + " is outside of the vocabulary");
    }
  }
  // Later tokens do not change earlier ones, so any id fills the last tile.
  std::copy(ids, ids + count, step->ids.begin());
  std::fill(step->ids.begin() + length, step->ids.end(), 0);
  step->team.run([&](size_t thread) {
    if (thread != 0) return;
    step->lanes[0]->forward(step->ids.data(), starter::tiles(count), starter::tiles(count));
    step->lanes[0]->logits(count - 1, out);
  });
  return 0;
}
