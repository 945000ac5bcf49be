#include "graph/constants.h"

#include <cstring>

#include "kernels/kernel_table.h"

namespace inferneo::graph {
namespace {

using tensor::DType;
using tensor::TensorView;

bool is_usable_in_place(const TensorView& view) {
  return view.dtype == DType::kF32 &&
         reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) == 0;
}

std::vector<float> convert(const TensorView& view) {
  std::vector<float> floats(static_cast<std::size_t>(view.shape.element_count()));
  const auto count = static_cast<std::int64_t>(floats.size());
  const kernels::KernelTable& table = kernels::reference_table();
  if (view.dtype == DType::kBf16) {
    table.bf16_to_f32(reinterpret_cast<const kernels::Bf16*>(view.data), floats.data(), count);
  } else if (view.dtype == DType::kF16) {
    table.f16_to_f32(reinterpret_cast<const kernels::F16*>(view.data), floats.data(), count);
  } else {
    std::memcpy(floats.data(), view.data, view.byte_size());
  }
  return floats;
}

}  // namespace

Constants::Constants(const Program& program) {
  for (const TensorView& view : program.constants) {
    if (is_usable_in_place(view)) {
      pointers_.push_back(reinterpret_cast<const float*>(view.data));
    } else {
      pointers_.push_back(converted_.emplace_back(convert(view)).data());
    }
  }
}

Constants::Sizes Constants::sizes(const Program& program) {
  Sizes sizes;
  for (const TensorView& view : program.constants) {
    const auto size = static_cast<std::uint64_t>(view.shape.element_count()) * sizeof(float);
    (is_usable_in_place(view) ? sizes.in_place : sizes.converted) += size;
  }
  return sizes;
}

}  // namespace inferneo::graph
