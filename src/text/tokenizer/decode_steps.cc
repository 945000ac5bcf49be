#include "text/tokenizer/decode_steps.h"

#include <algorithm>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"

namespace inferneo::text {
namespace {

// All tokens as one run of bytes; what is not UTF-8 becomes U+FFFD.
class ByteLevelDecoder final : public DecodeStep {
 public:
  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    const std::optional<std::string> bytes = byte_level_bytes(token);
    state.held += bytes ? std::string_view(*bytes) : token;
    const std::size_t certain = utf8::complete_prefix_size(state.held);
    if (certain == 0) return;
    next.token(utf8::sanitize(std::string_view(state.held).substr(0, certain)));
    state.held.erase(0, certain);
  }
  void finish(DecodeState& state, DecodeSink& next) const override {
    if (!state.held.empty()) next.token(utf8::sanitize(state.held));
    state.held.clear();
  }
};

// A run of "<0x..>" tokens is text when its bytes are UTF-8 as a whole, else one U+FFFD a byte.
class ByteFallbackDecoder final : public DecodeStep {
 public:
  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    if (const int byte = fallback_byte(token); byte >= 0) {
      state.held += static_cast<char>(byte);
      return;
    }
    finish(state, next);
    next.token(token);
  }
  void finish(DecodeState& state, DecodeSink& next) const override {
    if (state.held.empty()) return;
    if (utf8::is_valid(state.held)) {
      next.token(state.held);
    } else {
      for (std::size_t i = 0; i < state.held.size(); ++i) next.token("\xEF\xBF\xBD");
    }
    state.held.clear();
  }
};

class MetaspaceDecoder final : public DecodeStep {
 public:
  explicit MetaspaceDecoder(MetaspaceOptions options) : options_(std::move(options)) {}

  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    const bool drop = !state.started && options_.prepend != PrependScheme::kNever;
    state.started = true;
    const std::string& meta = options_.replacement;
    std::string out;
    std::size_t done = 0;
    for (std::size_t at = token.find(meta); at != token.npos; at = token.find(meta, done)) {
      out += token.substr(done, at - done);
      if (!drop) out += ' ';
      done = at + meta.size();
    }
    out += token.substr(done);
    next.token(out);
  }

 private:
  MetaspaceOptions options_;
};

class ReplaceDecoder final : public DecodeStep {
 public:
  ReplaceDecoder(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void push(DecodeState&, std::string_view token, DecodeSink& next) const override {
    std::string out;
    std::size_t done = 0;
    pattern_.for_each_match(token, [&](std::size_t start, std::size_t end) {
      out += token.substr(done, start - done);
      out += content_;
      done = end;
    });
    out += token.substr(done);
    next.token(out);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class SpaceJoiner final : public DecodeStep {
 public:
  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    if (state.started) next.token(" ");
    state.started = true;
    next.token(token);
  }
};

class Collector final : public DecodeStep {
 public:
  void push(DecodeState& state, std::string_view token, DecodeSink&) const override {
    state.held += token;
  }
  void finish(DecodeState& state, DecodeSink& next) const override {
    next.token(state.held);
    state.held.clear();
  }
};

class StripDecoder final : public DecodeStep {
 public:
  StripDecoder(std::string content, std::size_t start, std::size_t stop, bool whole)
      : content_(std::move(content)), start_(start), stop_(stop), whole_(whole) {}

  void push(DecodeState& state, std::string_view token, DecodeSink& next) const override {
    if (!whole_) state = {};
    while (!state.started && state.count < start_ && token.starts_with(content_)) {
      token.remove_prefix(content_.size());
      ++state.count;
    }
    if (!token.empty()) state.started = true;
    std::string text = std::move(state.held);
    text += token;
    std::size_t keep = text.size();
    for (std::size_t i = 0; i < stop_; ++i) {
      if (!std::string_view(text).substr(0, keep).ends_with(content_)) break;
      keep -= content_.size();
    }
    state.held.assign(text, keep);
    text.resize(keep);
    next.token(text);
  }

 private:
  std::string content_;
  std::size_t start_;
  std::size_t stop_;
  bool whole_;
};

}  // namespace

DecodeStepPtr make_byte_level_decoder() { return std::make_unique<ByteLevelDecoder>(); }
DecodeStepPtr make_byte_fallback_decoder() { return std::make_unique<ByteFallbackDecoder>(); }
DecodeStepPtr make_metaspace_decoder(MetaspaceOptions options) {
  return std::make_unique<MetaspaceDecoder>(std::move(options));
}
DecodeStepPtr make_replace_decoder(Pattern pattern, std::string content) {
  return std::make_unique<ReplaceDecoder>(std::move(pattern), std::move(content));
}
DecodeStepPtr make_space_joiner() { return std::make_unique<SpaceJoiner>(); }
DecodeStepPtr make_collector() { return std::make_unique<Collector>(); }
DecodeStepPtr make_strip_decoder(std::string content,
                                 std::size_t start,
                                 std::size_t stop,
                                 bool whole) {
  return std::make_unique<StripDecoder>(std::move(content), start, stop, whole);
}

int fallback_byte(std::string_view name) {
  if (name.size() != 6 || !name.starts_with("<0x") || name.back() != '>') return -1;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  // The reference reads the two characters as a number, which may have a plus sign.
  const int high = name[3] == '+' ? 0 : digit(name[3]);
  const int low = digit(name[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace inferneo::text
