// Matrices of codes of the reference table.
// Thread: any.
#pragma once

#include "kernels/matrix_ops.h"

namespace inferneo::kernels {

const MatrixOps* reference_codes_ops(const MatrixFormat& format) noexcept;

}  // namespace inferneo::kernels
