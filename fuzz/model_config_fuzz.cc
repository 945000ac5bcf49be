// links: inferneo_arch inferneo_formats
// config.json and generation_config.json (separated by a zero byte), and what an architecture makes
// of them: arbitrary text must be refused with a message, or build up to the first missing weight.
#include <cstdint>
#include <string_view>

#include "arch/arch.h"
#include "base/check.h"
#include "formats/model_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = text.find('\0');
  const auto meta = formats::parse_model_config(
      text.substr(0, cut), cut == std::string_view::npos ? "" : text.substr(cut + 1));
  if (!meta) {
    CHECK(!meta.error().message().empty());
    return 0;
  }
  CHECK(meta->vocab_size > 0 && meta->head_count % meta->kv_head_count == 0);
  const auto spec = arch::find_arch(*meta);
  if (!spec) return 0;
  // Enough weights to get past the first lookups, so that sizes are multiplied out.
  tensor::WeightMap weights;
  weights.add("model.embed_tokens.weight",
              {tensor::DType::kF32, {meta->vocab_size, meta->hidden_size}, nullptr});
  weights.add("model.norm.weight", {tensor::DType::kF32, {meta->hidden_size}, nullptr});
  weights.add("lm_head.weight",
              {tensor::DType::kF32, {meta->vocab_size, meta->hidden_size}, nullptr});
  const auto built = (*spec)->build(*meta, weights, {});
  CHECK(!built && !built.error().message().empty());
  CHECK(built.error().code() != StatusCode::kInternal);
  return 0;
}
