#include "text/tokenizer/post_processor.h"

#include "base/limits.h"
#include "base/str.h"
#include "text/tokenizer/sequence.h"

namespace inferneo::text {
namespace {

using Kind = PairPart::Kind;

// Bound: published templates add one or two tokens.
constexpr std::size_t kTokenCountMax = 64;

Result<TokenId> parse_id(const JsonView& place) {
  ASSIGN_OR_RETURN(const std::int64_t id, place.integer());
  if (id < 0 || static_cast<std::uint64_t>(id) >= limits::kVocabSizeMax) {
    return place.corrupt(str("is ", id, ", expected 0 to ", limits::kVocabSizeMax - 1));
  }
  return static_cast<TokenId>(id);
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

// "<s> a </s></s> b </s>" of RoBERTa, or "[CLS] a [SEP] b [SEP]" with types of BERT.
Status parse_around(const JsonView& entry, bool roberta, PostProcessor& out) {
  ASSIGN_OR_RETURN(const TokenId first, parse_named_id(entry, "cls"));
  ASSIGN_OR_RETURN(const TokenId last, parse_named_id(entry, "sep"));
  out.prefix.insert(out.prefix.begin(), first);
  out.suffix.push_back(last);
  const std::uint8_t type = roberta ? 0 : 1;
  out.pair = {{Kind::kToken, first, 0}, {Kind::kFirst, -1, 0}, {Kind::kToken, last, 0}};
  if (roberta) out.pair.push_back({Kind::kToken, last, 0});
  out.pair.push_back({Kind::kSecond, -1, type});
  out.pair.push_back({Kind::kToken, last, type});
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

Result<std::uint8_t> parse_type(const JsonView& item) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> place, item.optional_member("type_id"));
  if (!place) return std::uint8_t{0};
  ASSIGN_OR_RETURN(const std::int64_t type, place->integer());
  if (type < 0 || type > 255) return place->corrupt(str("is ", type, ", expected 0 to 255"));
  return static_cast<std::uint8_t>(type);
}

// The items of `single` or `pair`; each text stands in it once at most.
Result<std::vector<PairPart>> parse_items(const JsonView& entry, const JsonView& place) {
  ASSIGN_OR_RETURN(const simdjson::dom::array items, place.array());
  std::vector<PairPart> parts;
  bool seen_first = false;
  bool seen_second = false;
  std::size_t index = 0;
  for (const simdjson::dom::element element : items) {
    const JsonView item = place.item(index++, element);
    if (parts.size() > kTokenCountMax) return place.corrupt("adds too many tokens");
    ASSIGN_OR_RETURN(const std::optional<JsonView> special, item.optional_member("SpecialToken"));
    if (special) {
      std::vector<TokenId> ids;
      RETURN_IF_ERROR(append_special(entry, *special, ids));
      ASSIGN_OR_RETURN(const std::uint8_t type, parse_type(*special));
      for (const TokenId id : ids) parts.push_back({Kind::kToken, id, type});
      continue;
    }
    ASSIGN_OR_RETURN(const JsonView sequence, item.member("Sequence"));
    ASSIGN_OR_RETURN(const std::string_view name, sequence.string_member("id"));
    ASSIGN_OR_RETURN(const std::uint8_t type, parse_type(sequence));
    bool& seen = name == "A" ? seen_first : seen_second;
    if ((name != "A" && name != "B") || seen) {
      return item.not_supported("sequence", name, "A once, B once");
    }
    seen = true;
    parts.push_back({name == "A" ? Kind::kFirst : Kind::kSecond, -1, type});
  }
  return parts;
}

Status parse_template(const JsonView& entry, PostProcessor& out) {
  ASSIGN_OR_RETURN(const JsonView single, entry.member("single"));
  ASSIGN_OR_RETURN(const std::vector<PairPart> parts, parse_items(entry, single));
  std::vector<TokenId> before;
  std::vector<TokenId> after;
  bool seen_text = false;
  for (const PairPart& part : parts) {
    if (part.kind == Kind::kSecond) {
      return single.not_supported("sequence", "B", "A, once, in a template for a single text");
    }
    if (part.kind == Kind::kFirst) {
      seen_text = true;
    } else {
      (seen_text ? after : before).push_back(part.id);
    }
  }
  if (!seen_text) return single.corrupt("has no place for the text");
  out.prefix.insert(out.prefix.begin(), before.begin(), before.end());
  out.suffix.insert(out.suffix.end(), after.begin(), after.end());
  ASSIGN_OR_RETURN(const std::optional<JsonView> pair, entry.optional_member("pair"));
  if (!pair) return ok_status();
  ASSIGN_OR_RETURN(out.pair, parse_items(entry, *pair));
  return ok_status();
}

Status add(const JsonView& entry, int depth, PostProcessor& out) {
  ASSIGN_OR_RETURN(const std::string_view type, entry.string_member("type"));
  if (type == "ByteLevel") return ok_status();
  if (type == "TemplateProcessing") return parse_template(entry, out);
  if (type == "BertProcessing") return parse_around(entry, false, out);
  if (type == "RobertaProcessing") return parse_around(entry, true, out);
  if (type != "Sequence") {
    return entry.not_supported(
        "post-processor",
        type,
        "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
  }
  return add_parts(entry, "processors", depth, [&](const JsonView& part, int deeper) {
    RETURN_IF_ERROR(add(part, deeper, out));
    const bool fits = out.prefix.size() + out.suffix.size() <= kTokenCountMax;
    return fits ? ok_status() : part.corrupt("adds too many tokens");
  });
}

}  // namespace

Result<PostProcessor> PostProcessor::parse(const JsonView& document) {
  PostProcessor out;
  ASSIGN_OR_RETURN(const std::optional<JsonView> entry, document.optional_member("post_processor"));
  if (entry) RETURN_IF_ERROR(add(*entry, 0, out));
  return out;
}

}  // namespace inferneo::text
