#include "graph/constants.h"

#include <cstring>

#include "kernels/kernel_table.h"

namespace inferneo::graph {
namespace {

using tensor::DType;
using tensor::TensorView;

// Why not smaller ones: a page fault maps neighbouring pages of the file with the one that is read,
// up to 2 MiB of them, which is more memory than a copy takes.
constexpr std::size_t kInPlaceSizeMin = 64 * 1024;

bool is_usable_in_place(const ConstantSource& source) {
  const TensorView& view = source.parts.front();
  return view.byte_size() >= kInPlaceSizeMin && source.parts.size() == 1 && source.offset == 0 &&
         source.stride == 1 && view.dtype == DType::kF32 &&
         reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) == 0;
}

void convert(const TensorView& view, float* floats) {
  const std::int64_t count = view.shape.element_count();
  const kernels::KernelTable& table = kernels::reference_table();
  if (view.dtype == DType::kBf16) {
    table.bf16_to_f32(reinterpret_cast<const kernels::Bf16*>(view.data), floats, count);
  } else if (view.dtype == DType::kF16) {
    table.f16_to_f32(reinterpret_cast<const kernels::F16*>(view.data), floats, count);
  } else {
    std::memcpy(floats, view.data, view.byte_size());
  }
}

std::vector<float> convert(const ConstantSource& source) {
  std::vector<float> floats(static_cast<std::size_t>(source.element_count()));
  float* at = floats.data();
  for (TensorView part : source.parts) {
    const std::int64_t count = part.shape.element_count();
    // One element at a time where they lie apart.
    const std::int64_t step = source.stride == 1 ? count : 1;
    const std::size_t stride =
        static_cast<std::size_t>(source.stride) * tensor::dtype_size(part.dtype);
    part.shape = {step};
    for (std::int64_t i = 0; i < count; i += step, at += step, part.data += stride) {
      convert(part, at);
    }
  }
  for (float& value : floats) value += source.offset;
  return floats;
}

}  // namespace

Constants::Constants(const Program& program) {
  for (const ConstantSource& source : program.constants) {
    if (is_usable_in_place(source)) {
      pointers_.push_back(reinterpret_cast<const float*>(source.parts.front().data));
    } else {
      pointers_.push_back(converted_.emplace_back(convert(source)).data());
    }
  }
}

Constants::Sizes Constants::sizes(const Program& program) {
  Sizes sizes;
  for (const ConstantSource& source : program.constants) {
    const auto size = static_cast<std::uint64_t>(source.element_count()) * sizeof(float);
    (is_usable_in_place(source) ? sizes.in_place : sizes.converted) += size;
  }
  return sizes;
}

}  // namespace inferneo::graph
