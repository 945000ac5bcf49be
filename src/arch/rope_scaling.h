// Inverse frequencies of rotary position embeddings with their context extensions, computed in f32
// in the order of transformers so that the angles agree to the bit almost everywhere.
// Spec: transformers 5, modeling_rope_utils.py; RoFormer (default), position interpolation
// (linear), Llama 3.1 (llama3), YaRN arXiv 2309.00071 (yarn), NTK-aware dynamic scaling (dynamic).
// Thread: any.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "formats/model_meta.h"
#include "graph/program.h"

namespace inferneo::arch {

// Failures: invalid_argument naming the missing or wrong parameter, unsupported (unknown type).
Result<graph::Rope> make_rope(const formats::RopeMeta& meta,
                              std::int64_t head_dim,
                              std::int64_t context_tokens_max);

}  // namespace inferneo::arch
