// Packing of matrices of codes into panels: once at load, the same bytes for every instruction set,
// so one copy at the baseline serves all tables.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/matrix_ops.h"

namespace inferneo::kernels {

template <int bits, int group, bool has_min, bool has_codebook>
struct CodesPacker {
  static std::size_t panel_size(std::int64_t k) noexcept;
  static void pack_panel(const PanelSource& source, std::byte* panel) noexcept;
};

// Bytes of the packed inputs of all matrices of codes.
std::size_t codes_input_size(std::int64_t m, std::int64_t k) noexcept;

}  // namespace inferneo::kernels
