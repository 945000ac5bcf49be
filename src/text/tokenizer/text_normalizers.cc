// Prepend and Replace: normalizers that put fixed text in.
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/pattern.h"

namespace inferneo::text {
namespace {

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string_view prefix) : prefix_(prefix) {}
  void apply(std::string& text, bool&) const override {
    if (!text.empty()) text.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

class Replace final : public Normalizer {
 public:
  Replace(Pattern pattern, std::string_view content)
      : pattern_(std::move(pattern)), content_(content) {}

  void apply(std::string& text, bool& at_start) const override {
    std::string out;
    std::size_t done = 0;
    pattern_.for_each_match(text, [&](std::size_t start, std::size_t end) {
      if (out.empty()) out.reserve(text.size() + text.size() / 2);
      out.append(text, done, start - done);
      out += content_;
      if (start == 0 && end > 0 && content_.empty()) at_start = false;
      done = end;
    });
    if (done == 0 && out.empty()) return;
    out.append(text, done);
    text = std::move(out);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

}  // namespace

Result<NormalizerPtr> parse_prepend(const JsonView& entry) {
  ASSIGN_OR_RETURN(const std::string_view prefix, entry.string_member("prepend"));
  return NormalizerPtr(std::make_unique<Prepend>(prefix));
}

Result<NormalizerPtr> parse_replace(const JsonView& entry) {
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::parse(entry));
  ASSIGN_OR_RETURN(const std::string content, Pattern::parse_content(entry));
  return NormalizerPtr(std::make_unique<Replace>(std::move(pattern), content));
}

}  // namespace inferneo::text
