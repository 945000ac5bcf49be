// Metaspace: spaces become a visible character (U+2581), one is put in front, and the text is cut
// before each of them.
#include "text/tokenizer/metaspace.h"

#include "base/utf8.h"
#include "text/tokenizer/delimiter.h"
#include "text/tokenizer/pre_tokenizer.h"

namespace inferneo::text {
namespace {

class Metaspace final : public PreTokenizer {
 public:
  explicit Metaspace(MetaspaceOptions options) : options_(std::move(options)) {}

  void split(std::string_view text, bool at_start, PieceSink& sink) const override {
    const std::string marked = mark(text, at_start);
    if (!options_.split) return sink.piece(marked, at_start);
    const std::string& meta = options_.replacement;
    DelimiterJoiner joiner(DelimiterBehavior::kMergedWithNext, marked, at_start, sink);
    std::size_t done = 0;
    for (std::size_t at = marked.find(meta); at != marked.npos; at = marked.find(meta, done)) {
      if (at > done) joiner.add(done, at, false);
      done = at + meta.size();
      joiner.add(at, done, true);
    }
    if (done < marked.size()) joiner.add(done, marked.size(), false);
    joiner.finish();
  }

 private:
  [[nodiscard]] std::string mark(std::string_view text, bool at_start) const {
    std::string marked;
    marked.reserve(text.size() + text.size() / 2 + options_.replacement.size());
    const bool wanted = options_.prepend == PrependScheme::kAlways ||
                        (options_.prepend == PrependScheme::kFirst && at_start);
    const bool present = text.starts_with(' ') || text.starts_with(options_.replacement);
    if (wanted && !present) marked += options_.replacement;
    for (const char c : text) {
      if (c == ' ') {
        marked += options_.replacement;
      } else {
        marked += c;
      }
    }
    return marked;
  }

  MetaspaceOptions options_;
};

}  // namespace

Result<MetaspaceOptions> MetaspaceOptions::parse(const JsonView& entry) {
  MetaspaceOptions options;
  ASSIGN_OR_RETURN(const std::string_view replacement, entry.string_member("replacement"));
  if (replacement.empty() || utf8::decode(replacement, 0).size != replacement.size()) {
    return entry.corrupt("has a replacement that is not one character");
  }
  options.replacement = replacement;
  ASSIGN_OR_RETURN(const bool add_prefix_space, entry.bool_member("add_prefix_space", true));
  if (!add_prefix_space) options.prepend = PrependScheme::kNever;
  ASSIGN_OR_RETURN(const std::optional<JsonView> scheme, entry.optional_member("prepend_scheme"));
  if (scheme) {
    ASSIGN_OR_RETURN(const std::string_view name, scheme->string());
    if (name == "always") {
      options.prepend = PrependScheme::kAlways;
    } else if (name == "first") {
      options.prepend = PrependScheme::kFirst;
    } else if (name == "never") {
      options.prepend = PrependScheme::kNever;
    } else {
      return scheme->not_supported("prepend_scheme", name, "always, first, never");
    }
  }
  ASSIGN_OR_RETURN(options.split, entry.bool_member("split", true));
  return options;
}

Result<PreTokenizerPtr> parse_metaspace(const JsonView& entry) {
  ASSIGN_OR_RETURN(MetaspaceOptions options, MetaspaceOptions::parse(entry));
  return PreTokenizerPtr(std::make_unique<Metaspace>(std::move(options)));
}

}  // namespace inferneo::text
