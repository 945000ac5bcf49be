// The same model with matrices of another element type: GGUF in, GGUF out. Rounds as
// tensor/quant does, without a search for the best scales, so a file has the arithmetic of its type
// and not the quality that llama-quantize reaches.
// Thread: one.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "tensor/dtype.h"

namespace inferneo::bench {

// Types that matrices may get, by dtype_name. Failures: invalid_argument naming them all.
Result<tensor::DType> matrix_type(std::string_view name);

// Writes `to` with every matrix of `from` in the type and every vector in f32. Metadata stays, but
// for the keys that describe the file itself; integers are written in 32 bits where they fit.
// Failures: those of GgufFile::open, invalid_argument (a matrix whose rows are no whole blocks),
// internal (the system refused to write).
Status requantize(const std::string& from, const std::string& to, tensor::DType dtype);

}  // namespace inferneo::bench
