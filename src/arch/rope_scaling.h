// Inverse frequencies of rotary position embeddings with their context extensions, computed in f32
// in the order of transformers so that the angles agree to the bit almost everywhere.
// Spec: transformers 5, modeling_rope_utils.py; RoFormer (default), position interpolation
// (linear), Llama 3.1 (llama3), YaRN arXiv 2309.00071 (yarn), NTK-aware dynamic scaling (dynamic),
// LongRoPE arXiv 2402.13753 (longrope).
// Thread: any.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "formats/model_meta.h"
#include "graph/program.h"

namespace inferneo::arch {

// Types of scaling, sorted.
std::span<const std::string_view> rope_types();

// What an architecture takes where the file says nothing.
struct RopeDefaults {
  double theta = 10000;
  double partial = 1;  // share of a head that is rotated
};

// Failures: invalid_argument naming the missing or wrong parameter, unsupported (unknown type,
// naming the supported ones and the nearest).
Result<graph::Rope> make_rope(const formats::RopeMeta& meta,
                              std::int64_t head_dim,
                              std::int64_t context_tokens_max,
                              const RopeDefaults& defaults = {});

}  // namespace inferneo::arch
