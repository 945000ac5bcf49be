// links: inferneo_runtimes_native inferneo_text
// What a GGUF file says about its model and its text: hyperparameters, program, tokenizer and chat
// template are refused with a reason, or hold together.
#include <cstdint>
#include <span>

#include "arch/arch.h"
#include "base/check.h"
#include "base/utf8.h"
#include "formats/gguf.h"
#include "formats/gguf_model.h"
#include "runtimes/native/gguf_text.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace inferneo {
namespace {

void check_model(const formats::GgufHeader& header) {
  const auto meta = formats::read_gguf_model(header.metadata, header.weights);
  if (!meta) {
    CHECK(!meta.error().message().empty());
    return;
  }
  CHECK(meta->hidden_size > 0 && meta->head_count % meta->kv_head_count == 0);
  for (const std::int32_t id : meta->eos_token_ids) CHECK(id >= 0 && id < meta->vocab_size);
  const auto spec = arch::find_arch(*meta);
  if (!spec) return;
  const auto built = (*spec)->build(*meta, header.weights, {});
  CHECK(built.has_value() || !built.error().message().empty());
}

void check_text(const formats::GgufMetadata& metadata) {
  const auto text = runtimes::native::read_gguf_text(metadata);
  if (!text) {
    CHECK(!text.error().message().empty());
    return;
  }
  const auto chat = text::load_chat_template(*text);
  CHECK(chat.has_value() || !chat.error().message().empty());
  const auto tokenizer = text::Tokenizer::load(*text);
  if (!tokenizer) {
    CHECK(!tokenizer.error().message().empty());
    return;
  }
  for (const bool parse : {true, false}) {
    const auto ids = (*tokenizer)->encode("Hi <s> é\n 12 ab", {.parse_added_tokens = parse});
    for (const TokenId id : ids) CHECK((*tokenizer)->has_token(id));
    CHECK(utf8::is_valid((*tokenizer)->decode(ids, false)));
  }
}

}  // namespace
}  // namespace inferneo

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const auto header = formats::parse_gguf(std::as_bytes(std::span(data, size)));
  if (!header) return 0;
  check_model(*header);
  check_text(header->metadata);
  return 0;
}
