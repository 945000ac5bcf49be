// Reader of the safetensors format: eight bytes of header length, a JSON header, tensor data.
// Everything is checked against the real size of the file before anything is kept: lengths, types,
// shapes, and that the tensors cover the data exactly, without overlap, gap or rest.
// Spec: https://github.com/huggingface/safetensors#format
// Thread: any. Ownership: borrows the bytes; the mapping must outlive the entries' views.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tensor/tensor_view.h"

namespace inferneo::formats {

struct SafetensorsEntry {
  std::string name;
  tensor::TensorView view;
};

// The tensors of a file in order of their data. `file` names the file in messages.
// Failures: corrupt_data, unsupported (element type, rank), resource_exhausted (header or tensor
// count above the limits). Cost: O(header log tensors), at most a second for any header.
Result<std::vector<SafetensorsEntry>> parse_safetensors(std::span<const std::byte> bytes,
                                                        std::string_view file);

}  // namespace inferneo::formats
