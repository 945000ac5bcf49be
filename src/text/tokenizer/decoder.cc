#include "text/tokenizer/decoder.h"

#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/decode_steps.h"
#include "text/tokenizer/sequence.h"

namespace inferneo::text {
namespace {

constexpr std::size_t kStepCountMax = 16;
constexpr std::string_view kSupported =
    "BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip, WordPiece";

bool is_one_character(std::string_view text) {
  return !text.empty() && utf8::decode(text, 0).size == text.size();
}

Result<std::size_t> parse_count(const JsonView& entry, std::string_view key) {
  ASSIGN_OR_RETURN(const JsonView place, entry.member(key));
  ASSIGN_OR_RETURN(const std::int64_t count, place.integer());
  constexpr std::int64_t kCountMax = 1024;
  if (count < 0 || count > kCountMax) return place.corrupt(str("is ", count));
  return static_cast<std::size_t>(count);
}

// Bound: it is put in for every token.
Result<std::string> parse_affix(const JsonView& entry,
                                std::string_view key,
                                std::string_view fallback) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> place, entry.optional_member(key));
  if (!place) return std::string(fallback);
  ASSIGN_OR_RETURN(const std::string_view affix, place->string());
  constexpr std::size_t kAffixSizeMax = 256;
  if (affix.size() > kAffixSizeMax) return place->corrupt("is too long");
  return std::string(affix);
}

}  // namespace

Result<DecoderChain> DecoderChain::parse(const JsonView& document) {
  DecoderChain chain;
  ASSIGN_OR_RETURN(const std::optional<JsonView> entry, document.optional_member("decoder"));
  if (entry) {
    RETURN_IF_ERROR(chain.add(*entry, 0));
  } else {
    chain.steps_.push_back(make_space_joiner());
    chain.joins_with_space_ = true;
  }
  return chain;
}

Status DecoderChain::add(const JsonView& entry, int depth) {
  ASSIGN_OR_RETURN(const std::string_view type, entry.string_member("type"));
  if (type == "Sequence") {
    return add_parts(entry, "decoders", depth, [this](const JsonView& part, int deeper) {
      return add(part, deeper);
    });
  }
  if (steps_.size() >= kStepCountMax) {
    return unsupported(str(entry.where(), ": more than ", kStepCountMax, " decoders"))
        .with_where(entry.where());
  }
  if (type == "Fuse") {
    fused_ = true;
    return ok_status();
  }
  if (type == "Strip") return add_strip(entry);
  if (type == "Replace") return add_replace(entry);
  const bool known = type == "ByteLevel" || type == "ByteFallback" || type == "Metaspace" ||
                     type == "WordPiece" || type == "BPEDecoder";
  if (!known) return entry.not_supported("decoder", type, kSupported);
  if (type == "WordPiece") return add_word_piece(entry);
  if (fused_) steps_.push_back(make_collector());
  if (type == "ByteLevel") {
    add_byte_level();
  } else if (type == "ByteFallback") {
    steps_.push_back(make_byte_fallback_decoder());
    byte_fallback_ = true;
  } else if (type == "BPEDecoder") {
    ASSIGN_OR_RETURN(std::string suffix, parse_affix(entry, "suffix", "</w>"));
    steps_.push_back(make_suffix_decoder(std::move(suffix)));
  } else {
    ASSIGN_OR_RETURN(MetaspaceOptions options, MetaspaceOptions::parse(entry));
    if (options.prepend != PrependScheme::kNever) strips_leading_space_ = true;
    steps_.push_back(make_metaspace_decoder(std::move(options)));
  }
  return ok_status();
}

void DecoderChain::add_byte_level() {
  steps_.push_back(make_byte_level_decoder());
  byte_level_ = true;
  fused_ = true;
}

void DecoderChain::add_sentencepiece(bool drops_prefix) {
  steps_.push_back(make_replace_decoder(Pattern::of_text("\xE2\x96\x81"), " "));
  steps_.push_back(make_byte_fallback_decoder());
  byte_fallback_ = true;
  fused_ = true;
  if (!drops_prefix) return;
  steps_.push_back(make_strip_decoder(" ", 1, 0, true));
  strips_leading_space_ = true;
}

Status DecoderChain::add_word_piece(const JsonView& entry) {
  ASSIGN_OR_RETURN(std::string prefix, parse_affix(entry, "prefix", "##"));
  ASSIGN_OR_RETURN(const bool cleanup, entry.bool_member("cleanup", true));
  if (fused_) steps_.push_back(make_collector());
  steps_.push_back(make_word_piece_decoder(std::move(prefix), cleanup));
  return ok_status();
}

Status DecoderChain::add_strip(const JsonView& entry) {
  ASSIGN_OR_RETURN(const std::string_view content, entry.string_member("content"));
  if (!is_one_character(content)) return entry.corrupt("has a content that is not one character");
  ASSIGN_OR_RETURN(const std::size_t start, parse_count(entry, "start"));
  ASSIGN_OR_RETURN(const std::size_t stop, parse_count(entry, "stop"));
  if (fused_ && start > 0 && content == " ") strips_leading_space_ = true;
  steps_.push_back(make_strip_decoder(std::string(content), start, stop, fused_));
  return ok_status();
}

Status DecoderChain::add_replace(const JsonView& entry) {
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::parse(entry));
  ASSIGN_OR_RETURN(std::string content, Pattern::parse_content(entry));
  // Why: a longer pattern could match across the border of two chunks.
  if (fused_ && (pattern.is_regex() || !is_one_character(pattern.source()))) {
    steps_.push_back(make_collector());
  }
  steps_.push_back(make_replace_decoder(std::move(pattern), std::move(content)));
  return ok_status();
}

std::string DecoderChain::running_text(std::string_view name) const {
  if (is_byte_level()) {
    return byte_level_bytes(name).value_or(std::string(name));
  }
  if (byte_fallback_) {
    if (const int byte = fallback_byte(name); byte >= 0) {
      return std::string(1, static_cast<char>(byte));
    }
  }
  if (joins_with_space_) return std::string(name);
  // A token in the middle: one that stands alone in front of it takes what is stripped.
  std::string out;
  DecodeStream stream(*this);
  std::string before;
  stream.push("x", before);
  const std::size_t known = before.size();
  stream.push(name, before);
  stream.finish(before);
  out.assign(before, known);
  return out;
}

class DecodeStream::Next final : public DecodeSink {
 public:
  Next(DecodeStream& stream, std::size_t step, std::string& out)
      : stream_(&stream), step_(step), out_(&out) {}
  void token(std::string_view text) override { stream_->push_from(step_, text, *out_); }

 private:
  DecodeStream* stream_;
  std::size_t step_;
  std::string* out_;
};

DecodeStream::DecodeStream(const DecoderChain& chain)
    : chain_(&chain), states_(chain.steps_.size()) {}

void DecodeStream::push(std::string_view token, std::string& out) { push_from(0, token, out); }

void DecodeStream::push_from(std::size_t step, std::string_view token, std::string& out) {
  if (step == states_.size()) {
    out += token;
    return;
  }
  Next next(*this, step + 1, out);
  chain_->steps_[step]->push(states_[step], token, next);
}

void DecodeStream::finish(std::string& out) {
  for (std::size_t step = 0; step < states_.size(); ++step) {
    Next next(*this, step + 1, out);
    chain_->steps_[step]->finish(states_[step], next);
  }
}

}  // namespace inferneo::text
