#include "graph/fusion.h"

#include <algorithm>
#include <variant>

namespace inferneo::graph {
namespace {

// The input of a linear; none of another operation.
ValueId linear_input(const Op& op) {
  if (const auto* linear = std::get_if<LinearOp>(&op)) return linear->in;
  if (const auto* gated = std::get_if<GatedLinearOp>(&op)) return gated->in;
  return kNone;
}

// Why the input of the norm must live on: packed rows are written while other rows are still to be
// normed, and the memory plan may put them where a value lay that nobody reads any more.
bool joins_next(const Program& program, const NormOp& norm, std::int32_t index) {
  const Value& in = program.values[static_cast<std::size_t>(norm.in)];
  const Value& out = program.values[static_cast<std::size_t>(norm.out)];
  const Op& next = program.ops[static_cast<std::size_t>(index) + 1];
  return linear_input(next) == norm.out && out.last_op == index + 1 && in.last_op > index;
}

bool makes(const LinearOp& linear, ValueId value) {
  return std::any_of(linear.parts.begin(), linear.parts.end(), [&](const LinearPart& part) {
    return part.out == value && !part.accumulate;
  });
}

bool joins_previous(const StoreKvOp& store, const Op& previous) {
  const auto* linear = std::get_if<LinearOp>(&previous);
  return linear != nullptr && makes(*linear, store.q) && makes(*linear, store.k) &&
         makes(*linear, store.v);
}

}  // namespace

std::vector<OpFusion> find_fusions(const Program& program) {
  std::vector<OpFusion> fusions(program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const auto* norm = std::get_if<NormOp>(&program.ops[i]);
    if (norm != nullptr && i + 1 < program.ops.size() &&
        joins_next(program, *norm, static_cast<std::int32_t>(i))) {
      fusions[i].absorbed = true;
      fusions[i + 1].norm = norm;
    }
    const auto* store = std::get_if<StoreKvOp>(&program.ops[i]);
    if (store != nullptr && i > 0 && joins_previous(*store, program.ops[i - 1])) {
      fusions[i].absorbed = true;
      fusions[i - 1].store = store;
    }
  }
  return fusions;
}

}  // namespace inferneo::graph
