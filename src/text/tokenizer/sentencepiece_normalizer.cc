#include "text/tokenizer/sentencepiece_normalizer.h"

#include "base/utf8.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581

class SentencePieceNormalizer final : public Normalizer {
 public:
  explicit SentencePieceNormalizer(SentencePieceRules rules) : rules_(std::move(rules)) {}

  void apply(std::string& text, bool& at_start) const override {
    std::string out;
    out.reserve(text.size() + text.size() / 2 + kMark.size());
    std::string_view in = text;
    if (rules_.remove_extra_spaces) {
      while (!in.empty()) {
        const Part part = first_part(in);
        if (part.content != " ") break;
        in.remove_prefix(part.size);
      }
    }
    if (!in.empty()) put_all(in, at_start || rules_.prefix_each_section, out);
    text = std::move(out);
  }

 private:
  struct Part {
    std::size_t size;  // bytes of the text
    std::string_view content;
  };

  [[nodiscard]] std::string_view space() const { return rules_.escape_spaces ? kMark : " "; }

  [[nodiscard]] Part first_part(std::string_view in) const {
    if (const auto kept = rules_.kept.longest_prefix(in); kept.size > 0) {
      return {kept.size, in.substr(0, kept.size)};
    }
    if (const Charsmap::Match rule = rules_.map.longest(in); rule.size > 0) {
      return {rule.size, rule.content};
    }
    const std::size_t size = static_cast<std::uint8_t>(in[0]) < 0x80 ? 1 : utf8::decode(in, 0).size;
    return {size, in.substr(0, size)};
  }

  void put_all(std::string_view in, bool with_prefix, std::string& out) const {
    const bool adds_space = rules_.add_dummy_prefix && with_prefix;
    if (adds_space && !rules_.space_as_suffix) out += space();
    bool after_space = rules_.remove_extra_spaces;
    while (!in.empty()) {
      const Part part = first_part(in);
      put(part.content, after_space, out);
      in.remove_prefix(part.size);
    }
    if (rules_.remove_extra_spaces) {
      while (out.ends_with(space())) out.resize(out.size() - space().size());
    }
    if (adds_space && rules_.space_as_suffix) out += space();
  }

  void put(std::string_view content, bool& after_space, std::string& out) const {
    while (after_space && content.starts_with(' ')) content.remove_prefix(1);
    if (!content.empty()) {
      for (const char c : content) {
        if (c == ' ') {
          out += space();
        } else {
          out += c;
        }
      }
      after_space = content.ends_with(' ');
    }
    if (!rules_.remove_extra_spaces) after_space = false;
  }

  SentencePieceRules rules_;
};

}  // namespace

NormalizerPtr make_sentencepiece_normalizer(SentencePieceRules rules) {
  return std::make_unique<SentencePieceNormalizer>(std::move(rules));
}

}  // namespace inferneo::text
