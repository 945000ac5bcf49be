// links: inferneo_formats
// The safetensors header, and the shard index: arbitrary bytes must be refused or give tensors that
// lie inside the input and cover its data exactly, and so must pairs of MXFP4 tensors among them.
#include <cstdint>
#include <span>
#include <string_view>

#include "base/check.h"
#include "formats/checkpoint.h"
#include "formats/mxfp4_tensors.h"
#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto entries = formats::parse_safetensors(bytes, "input");
  if (entries) {
    const std::byte* at = entries->empty() ? bytes.data() + size : entries->front().view.data;
    CHECK(at >= bytes.data());
    for (const auto& entry : *entries) {
      CHECK(entry.view.data == at);
      at += entry.view.byte_size();
    }
    CHECK(at == bytes.data() + size);
    tensor::WeightMap weights;
    for (const auto& entry : *entries) weights.add(entry.name, entry.view);
    const Status joined = formats::join_mxfp4_tensors(weights);
    CHECK(joined.ok() || !joined.message().empty());
    for (const auto& [name, view] : weights.entries()) {
      CHECK(view.data + view.byte_size() <= bytes.data() + size);
      if (view.dtype != tensor::DType::kMxfp4Apart) continue;
      const std::size_t blocks = view.byte_size() / tensor::dtype_block_size(view.dtype);
      CHECK(view.scales + blocks <= bytes.data() + size);
    }
  } else {
    CHECK(!entries.error().message().empty());
  }
  const auto index =
      formats::parse_shard_index(std::string_view(reinterpret_cast<const char*>(data), size));
  if (index) {
    for (const auto& [tensor, shard] : *index) {
      CHECK(shard.find('/') == std::string::npos && shard.front() != '.');
    }
  }
  return 0;
}
