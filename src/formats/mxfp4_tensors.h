// Checkpoints whose matrices are MXFP4 (quantization_config says so): two byte tensors stand for
// one, NAME_blocks with the elements, two in a byte, and NAME_scales with a power of two for each
// 32 of them.
// Spec: transformers 5, integrations/mxfp4.py.
// Thread: any (a pure function).
#pragma once

#include "base/result.h"
#include "tensor/weight_map.h"

namespace inferneo::formats {

// Puts one tensor NAME of type kMxfp4Apart in the place of each such pair. Shapes: blocks
// [..][groups][16], scales [..][groups], NAME [..][32 groups]. Other tensors stay as they are.
// Failures: corrupt_data naming the tensor (a half is missing, has another type or shape, or NAME
// is there as well).
Status join_mxfp4_tensors(tensor::WeightMap& weights);

}  // namespace inferneo::formats
