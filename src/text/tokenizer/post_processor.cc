#include "text/tokenizer/post_processor.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::text {
namespace {

constexpr int kDepthMax = 4;
// Bound: published templates add one or two tokens.
constexpr std::size_t kTokenCountMax = 64;

Result<TokenId> parse_id(const JsonView& place) {
  ASSIGN_OR_RETURN(const std::int64_t id, place.integer());
  if (id < 0 || static_cast<std::uint64_t>(id) >= limits::kVocabSizeMax) {
    return place.corrupt(str("is ", id, ", expected 0 to ", limits::kVocabSizeMax - 1));
  }
  return static_cast<TokenId>(id);
}

// Both texts, once, and no part of the first segment behind one of the second.
bool is_pair(const std::vector<PairPart>& parts) {
  const auto count = [&](PairPart::Kind kind) {
    return std::ranges::count(parts, kind, &PairPart::kind);
  };
  return count(PairPart::Kind::kFirst) == 1 && count(PairPart::Kind::kSecond) == 1 &&
         std::ranges::is_sorted(parts, {}, &PairPart::late);
}

// ["</s>", 2]
Result<TokenId> parse_named_id(const JsonView& entry, std::string_view key) {
  ASSIGN_OR_RETURN(const JsonView pair, entry.member(key));
  ASSIGN_OR_RETURN(const simdjson::dom::array parts, pair.array());
  simdjson::dom::element id;
  if (parts.size() != 2 || parts.at(1).get(id) != simdjson::SUCCESS) {
    return pair.corrupt("is not a token and its id");
  }
  return parse_id(pair.item(1, id));
}

// Where several processors add tokens, it is not clear what a pair looks like.
void set_pair(PostProcessor& out, std::vector<PairPart> pair) {
  const bool only = out.prefix.empty() && out.suffix.empty();
  out.pair = only && is_pair(pair) ? std::move(pair) : std::vector<PairPart>();
}

Status parse_around(const JsonView& entry, std::string_view type, PostProcessor& out) {
  ASSIGN_OR_RETURN(const TokenId first, parse_named_id(entry, "cls"));
  ASSIGN_OR_RETURN(const TokenId last, parse_named_id(entry, "sep"));
  // Spec: tokenizers, BertProcessing and RobertaProcessing: the latter sets the texts apart by two
  // tokens and has no segments.
  const bool segments = type == "BertProcessing";
  using Kind = PairPart::Kind;
  std::vector<PairPart> pair{{Kind::kToken, first}, {Kind::kFirst}, {Kind::kToken, last}};
  if (!segments) pair.push_back({Kind::kToken, last});
  pair.push_back({Kind::kSecond, 0, segments});
  pair.push_back({Kind::kToken, last, segments});
  set_pair(out, std::move(pair));
  out.prefix.insert(out.prefix.begin(), first);
  out.suffix.push_back(last);
  return ok_status();
}

// The ids of a special token of a template.
Status append_special(const JsonView& entry, const JsonView& item, std::vector<TokenId>& ids) {
  ASSIGN_OR_RETURN(const std::string_view name, item.string_member("id"));
  ASSIGN_OR_RETURN(const JsonView known, entry.member("special_tokens"));
  ASSIGN_OR_RETURN(const JsonView token, known.member(name));
  ASSIGN_OR_RETURN(const JsonView list, token.member("ids"));
  ASSIGN_OR_RETURN(const simdjson::dom::array values, list.array());
  std::size_t index = 0;
  for (const simdjson::dom::element value : values) {
    ASSIGN_OR_RETURN(const TokenId id, parse_id(list.item(index++, value)));
    ids.push_back(id);
    if (ids.size() > kTokenCountMax) return list.corrupt("adds too many tokens");
  }
  return ok_status();
}

Status append_part(const JsonView& entry, const JsonView& item, std::vector<PairPart>& parts) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> special, item.optional_member("SpecialToken"));
  ASSIGN_OR_RETURN(const JsonView part, item.member(special ? "SpecialToken" : "Sequence"));
  ASSIGN_OR_RETURN(const JsonView given, part.member("type_id"));
  ASSIGN_OR_RETURN(const std::int64_t type, given.integer());
  if (type < 0 || type > 1) return given.corrupt("is neither segment");
  const bool late = type == 1;
  if (!special) {
    ASSIGN_OR_RETURN(const std::string_view name, part.string_member("id"));
    const bool first = name == "A";
    if (!first && name != "B") return part.not_supported("sequence", name, "A and B");
    parts.push_back({first ? PairPart::Kind::kFirst : PairPart::Kind::kSecond, 0, late});
    return ok_status();
  }
  std::vector<TokenId> ids;
  RETURN_IF_ERROR(append_special(entry, *special, ids));
  for (const TokenId id : ids) parts.push_back({PairPart::Kind::kToken, id, late});
  return parts.size() <= kTokenCountMax ? ok_status() : item.corrupt("adds too many tokens");
}

// Why a form that is not understood is none: most models never see a pair, and load all the same.
void parse_pair(const JsonView& entry, PostProcessor& out) {
  set_pair(out, {});
  const Result<std::optional<JsonView>> pair = entry.optional_member("pair");
  if (!pair.has_value() || !*pair) return;
  const Result<simdjson::dom::array> items = (*pair)->array();
  if (!items.has_value()) return;
  std::vector<PairPart> parts;
  std::size_t index = 0;
  for (const simdjson::dom::element element : *items) {
    if (!append_part(entry, (*pair)->item(index++, element), parts).ok()) return;
  }
  set_pair(out, std::move(parts));
}

Status parse_template(const JsonView& entry, PostProcessor& out) {
  ASSIGN_OR_RETURN(const JsonView single, entry.member("single"));
  ASSIGN_OR_RETURN(const simdjson::dom::array items, single.array());
  std::vector<TokenId> before;
  std::vector<TokenId> after;
  bool seen_text = false;
  std::size_t index = 0;
  for (const simdjson::dom::element element : items) {
    const JsonView item = single.item(index++, element);
    ASSIGN_OR_RETURN(const std::optional<JsonView> special, item.optional_member("SpecialToken"));
    if (special) {
      RETURN_IF_ERROR(append_special(entry, *special, seen_text ? after : before));
      continue;
    }
    ASSIGN_OR_RETURN(const JsonView sequence, item.member("Sequence"));
    ASSIGN_OR_RETURN(const std::string_view name, sequence.string_member("id"));
    if (name != "A" || seen_text) {
      return item.not_supported("sequence", name, "A, once, in a template for a single text");
    }
    seen_text = true;
  }
  if (!seen_text) return single.corrupt("has no place for the text");
  parse_pair(entry, out);
  out.prefix.insert(out.prefix.begin(), before.begin(), before.end());
  out.suffix.insert(out.suffix.end(), after.begin(), after.end());
  return ok_status();
}

Status add(const JsonView& entry, int depth, PostProcessor& out) {
  ASSIGN_OR_RETURN(const std::string_view type, entry.string_member("type"));
  if (type == "ByteLevel") return ok_status();
  if (type == "TemplateProcessing") return parse_template(entry, out);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    return parse_around(entry, type, out);
  }
  if (type != "Sequence") {
    return entry.not_supported(
        "post-processor",
        type,
        "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
  }
  if (depth >= kDepthMax) return entry.corrupt("is nested too deeply");
  ASSIGN_OR_RETURN(const JsonView list, entry.member("processors"));
  ASSIGN_OR_RETURN(const simdjson::dom::array parts, list.array());
  std::size_t index = 0;
  for (const simdjson::dom::element part : parts) {
    RETURN_IF_ERROR(add(list.item(index++, part), depth + 1, out));
    if (out.prefix.size() + out.suffix.size() > kTokenCountMax) {
      return list.corrupt("adds too many tokens");
    }
  }
  return ok_status();
}

}  // namespace

Result<PostProcessor> PostProcessor::parse(const JsonView& document) {
  PostProcessor out;
  ASSIGN_OR_RETURN(const std::optional<JsonView> entry, document.optional_member("post_processor"));
  if (entry) RETURN_IF_ERROR(add(*entry, 0, out));
  return out;
}

}  // namespace inferneo::text
