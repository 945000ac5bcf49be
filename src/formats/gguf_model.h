// What the metadata of a GGUF file says about its model, as ModelMeta.
// Spec: ggml, docs/gguf.md; llama.cpp, gguf-py/gguf/constants.py.
// Thread: any.
#pragma once

#include <string>

#include "base/result.h"
#include "formats/gguf.h"
#include "formats/model_meta.h"
#include "tensor/weight_map.h"

namespace inferneo::formats {

// general.architecture. Failures: corrupt_data when it is missing, empty or no text.
Result<std::string> gguf_architecture(const GgufMetadata& metadata);

// Reads the keys of the architecture and those of the tokenizer that concern generation; `weights`
// of the same file say which weights the model has (biases, a head of its own) and hold the
// divisors of rotary frequencies. Failures: invalid_argument naming key, value and range,
// unsupported (values that differ between layers), corrupt_data (a key of another type).
Result<ModelMeta> read_gguf_model(const GgufMetadata& metadata, const tensor::WeightMap& weights);

}  // namespace inferneo::formats
