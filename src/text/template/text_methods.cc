// Methods of strings. Positions and widths count characters; results of Markup are Markup.
#include <algorithm>
#include <array>
#include <utility>

#include "base/str.h"
#include "base/utf8.h"
#include "text/template/characters.h"
#include "text/template/formatting.h"
#include "text/template/methods.h"
#include "text/template/operators.h"

namespace inferneo::text::jinja {
namespace {

constexpr std::int64_t kAll = -1;

const Text& text_of(const Object& self) { return *self.as_text(); }

Result<Object> make_text(Evaluation& evaluation, std::string bytes, const Text& like) {
  RETURN_IF_ERROR(evaluation.work(bytes.size()));
  return Object::text(std::move(bytes), like.safe);
}

Result<Object> make_list(Evaluation& evaluation,
                         const std::vector<std::string_view>& parts,
                         const Text& like,
                         SequenceKind kind = SequenceKind::kList) {
  RETURN_IF_ERROR(evaluation.work(like.bytes.size() + parts.size() * sizeof(Text)));
  std::vector<Object> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    items.push_back(Object::text(std::string(part), like.safe));
  }
  return evaluation.make_sequence(kind, std::move(items));
}

// What is joined into Markup is escaped unless it is Markup itself.
std::string escaped_for(const Text& target, const Text& part) {
  if (!target.safe || part.safe) return part.bytes;
  std::string escaped;
  append_escaped(escaped, part.bytes);
  return escaped;
}

template <std::string (*Change)(std::string_view)>
Result<Object> change_case(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("str method", arguments, {}, 0).status());
  return make_text(evaluation, Change(text_of(self).bytes), text_of(self));
}

enum class Side { kLeft, kRight, kBoth };

template <Side Which>
Result<Object> strip_method(Evaluation& evaluation,
                            const Object& self,
                            const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("strip", arguments, {"chars"}, 0));
  std::string_view text = text_of(self).bytes;
  RETURN_IF_ERROR(evaluation.work(text.size()));
  if (!bound[0] || bound[0]->is_none()) {
    if (Which != Side::kRight) text = strip_left(text);
    if (Which != Side::kLeft) text = strip_right(text);
  } else {
    ASSIGN_OR_RETURN(const Text* chars, text_argument("strip", *bound[0]));
    // Bound: each character stripped is looked up in the set.
    RETURN_IF_ERROR(evaluation.step(text.size() * std::min<std::size_t>(chars->length, 64) / 64));
    std::u32string set = decode_characters(chars->bytes);
    std::sort(set.begin(), set.end());
    set.erase(std::unique(set.begin(), set.end()), set.end());
    RETURN_IF_ERROR(evaluation.step(set.size() / 16));
    if (Which != Side::kRight) text = strip_left(text, set);
    if (Which != Side::kLeft) text = strip_right(text, set);
  }
  return make_text(evaluation, std::string(text), text_of(self));
}

// Splits at runs of white space, from the left.
std::vector<std::string_view> split_spaces(std::string_view text, std::int64_t count) {
  std::vector<std::string_view> parts;
  text = strip_left(text);
  while (!text.empty()) {
    if (count-- == 0) {
      parts.push_back(text);
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      const utf8::Decoded decoded = utf8::decode(text, end);
      if (is_space(decoded.code_point)) break;
      end += decoded.size;
    }
    parts.push_back(text.substr(0, end));
    text = strip_left(text.substr(end));
  }
  return parts;
}

std::vector<std::string_view> split_spaces_right(std::string_view text, std::int64_t count) {
  std::vector<std::string_view> parts = split_spaces(text, kAll);
  const auto wanted = static_cast<std::size_t>(count) + 1;
  if (count < 0 || parts.size() < wanted) return parts;
  // What is left of the splits is one part and keeps its leading white space.
  const std::size_t joined = parts.size() - wanted;
  const std::string_view last = parts[joined];
  const auto head =
      text.substr(0, static_cast<std::size_t>(last.data() + last.size() - text.data()));
  parts.erase(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(joined));
  parts.front() = head;
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text,
                                       std::string_view separator,
                                       std::int64_t count) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  while (count-- != 0) {
    const std::size_t found = find_bytes(text, separator, begin);
    if (found == text.npos) break;
    parts.push_back(text.substr(begin, found - begin));
    begin = found + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::vector<std::string_view> split_at_right(std::string_view text,
                                             std::string_view separator,
                                             std::int64_t count) {
  std::vector<std::string_view> parts;
  while (count-- != 0) {
    const std::size_t found = text.rfind(separator);
    if (found == text.npos) break;
    parts.push_back(text.substr(found + separator.size()));
    text = text.substr(0, found);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool FromRight>
Result<Object> split_method(Evaluation& evaluation,
                            const Object& self,
                            const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("split", arguments, {"sep", "maxsplit"}, 0));
  std::int64_t count = kAll;
  if (bound[1]) {
    ASSIGN_OR_RETURN(count, integer_argument("split", *bound[1]));
    if (count < 0) count = kAll;
  }
  const std::string_view text = text_of(self).bytes;
  RETURN_IF_ERROR(evaluation.work(text.size()));
  if (!bound[0] || bound[0]->is_none()) {
    return make_list(evaluation,
                     FromRight ? split_spaces_right(text, count) : split_spaces(text, count),
                     text_of(self));
  }
  ASSIGN_OR_RETURN(const Text* separator, text_argument("split", *bound[0]));
  if (separator->bytes.empty()) return invalid_argument("empty separator");
  if (FromRight) {
    // Bound: searching backwards compares the separator at every position.
    RETURN_IF_ERROR(evaluation.step(
        text.size() / 64 * std::min<std::size_t>(separator->bytes.size(), text.size()) / 64));
    return make_list(evaluation, split_at_right(text, separator->bytes, count), text_of(self));
  }
  return make_list(evaluation, split_at(text, separator->bytes, count), text_of(self));
}

Result<Object> splitlines_method(Evaluation& evaluation,
                                 const Object& self,
                                 const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("splitlines", arguments, {"keepends"}, 0));
  const bool keep_ends = bound[0] && truth(*bound[0]);
  return make_list(evaluation, split_lines(text_of(self).bytes, keep_ends), text_of(self));
}

template <bool FromRight>
Result<Object> partition_method(Evaluation& evaluation,
                                const Object& self,
                                const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("partition", arguments, {"sep"}, 1));
  ASSIGN_OR_RETURN(const Text* separator, text_argument("partition", *bound[0]));
  if (separator->bytes.empty()) return invalid_argument("empty separator");
  const std::string_view text = text_of(self).bytes;
  const auto parts =
      FromRight ? split_at_right(text, separator->bytes, 1) : split_at(text, separator->bytes, 1);
  std::vector<std::string_view> three;
  if (parts.size() == 2) {
    three = {parts[0], separator->bytes, parts[1]};
  } else if (FromRight) {
    three = {"", "", text};
  } else {
    three = {text, "", ""};
  }
  return make_list(evaluation, three, text_of(self), SequenceKind::kTuple);
}

// The part of the text that optional start and end leave, as str.find and others take them.
struct Window {
  std::string_view text;
  std::size_t offset = 0;  // in characters
};

Result<Window> window_of(const Text& text,
                         const std::optional<Object>& start,
                         const std::optional<Object>& end) {
  const auto length = static_cast<std::int64_t>(text.length);
  const auto position = [&](const std::optional<Object>& bound,
                            std::int64_t absent) -> Result<std::int64_t> {
    if (!bound) return absent;
    ASSIGN_OR_RETURN(const auto given, slice_bound(*bound));
    const std::int64_t at = given.value_or(absent);
    return at < 0 ? std::max<std::int64_t>(0, at + length) : at;
  };
  ASSIGN_OR_RETURN(const std::int64_t from, position(start, 0));
  ASSIGN_OR_RETURN(const std::int64_t to, position(end, length));
  if (from > length || to < from) return Window{std::string_view(), text.length + 1};
  const std::size_t begin = offset_of(text.bytes, static_cast<std::size_t>(from));
  const std::string_view tail = std::string_view(text.bytes).substr(begin);
  const std::size_t size = offset_of(tail, static_cast<std::size_t>(to - from));
  return Window{tail.substr(0, size), static_cast<std::size_t>(from)};
}

template <bool AtEnd>
Result<Object> affix_method(Evaluation& evaluation,
                            const Object& self,
                            const Arguments& arguments) {
  const std::string_view name = AtEnd ? "endswith" : "startswith";
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments(name, arguments, {"prefix", "start", "end"}, 1));
  ASSIGN_OR_RETURN(const Window window, window_of(text_of(self), bound[1], bound[2]));
  std::vector<Object> affixes = {*bound[0]};
  const Sequence* tuple = bound[0]->as_sequence();
  if (tuple && tuple->kind == SequenceKind::kTuple) affixes = tuple->items;
  for (const Object& affix : affixes) {
    RETURN_IF_ERROR(evaluation.step());
    ASSIGN_OR_RETURN(const Text* text, text_argument(name, affix));
    RETURN_IF_ERROR(evaluation.work(std::min(text->bytes.size(), window.text.size())));
    if (window.offset > text_of(self).length) continue;
    if (AtEnd ? window.text.ends_with(text->bytes) : window.text.starts_with(text->bytes)) {
      return Object(true);
    }
  }
  return Object(false);
}

enum class Missing { kMinusOne, kError };

template <bool FromRight, Missing Answer>
Result<Object> find_method(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("find", arguments, {"sub", "start", "end"}, 1));
  ASSIGN_OR_RETURN(const Text* part, text_argument("find", *bound[0]));
  ASSIGN_OR_RETURN(const Window window, window_of(text_of(self), bound[1], bound[2]));
  RETURN_IF_ERROR(evaluation.work(window.text.size()));
  std::size_t found = std::string_view::npos;
  if (window.offset <= text_of(self).length) {
    found = FromRight ? window.text.rfind(part->bytes) : find_bytes(window.text, part->bytes, 0);
  }
  if (found != std::string_view::npos) {
    const std::size_t characters = count_characters(window.text.substr(0, found));
    return Object(static_cast<std::int64_t>(window.offset + characters));
  }
  if (Answer == Missing::kError) return invalid_argument("substring not found");
  return Object(std::int64_t{-1});
}

Result<Object> count_method(Evaluation& evaluation,
                            const Object& self,
                            const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("count", arguments, {"sub", "start", "end"}, 1));
  ASSIGN_OR_RETURN(const Text* part, text_argument("count", *bound[0]));
  ASSIGN_OR_RETURN(const Window window, window_of(text_of(self), bound[1], bound[2]));
  RETURN_IF_ERROR(evaluation.work(window.text.size()));
  if (window.offset > text_of(self).length) return Object(std::int64_t{0});
  if (part->bytes.empty()) {
    return Object(static_cast<std::int64_t>(count_characters(window.text)) + 1);
  }
  std::int64_t count = 0;
  for (std::size_t at = find_bytes(window.text, part->bytes, 0); at != std::string_view::npos;
       at = find_bytes(window.text, part->bytes, at + part->bytes.size())) {
    ++count;
  }
  return Object(count);
}

Result<Object> replace_method(Evaluation& evaluation,
                              const Object& self,
                              const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("replace", arguments, {"old", "new", "count"}, 2));
  ASSIGN_OR_RETURN(const Text* before, text_argument("replace", *bound[0]));
  ASSIGN_OR_RETURN(const Text* after, text_argument("replace", *bound[1]));
  std::int64_t count = kAll;
  if (bound[2]) {
    ASSIGN_OR_RETURN(count, integer_argument("replace", *bound[2]));
  }
  return replace_text(evaluation, text_of(self), *before, *after, count);
}

Result<Object> join_method(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("join", arguments, {"iterable"}, 1));
  ASSIGN_OR_RETURN(const std::vector<Object> items, iterate(evaluation, *bound[0]));
  for (const Object& item : items) {
    if (item.as_text()) continue;
    return invalid_argument(
        str("sequence item: expected str instance, ", type_name(item), " found"));
  }
  return join_with(evaluation, text_of(self), items);
}

Result<Object> format_method(Evaluation& evaluation,
                             const Object& self,
                             const Arguments& arguments) {
  return format_braces(evaluation, text_of(self), arguments);
}

template <bool AtEnd>
Result<Object> remove_affix_method(Evaluation& evaluation,
                                   const Object& self,
                                   const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("removeprefix", arguments, {"prefix"}, 1));
  ASSIGN_OR_RETURN(const Text* affix, text_argument("removeprefix", *bound[0]));
  std::string_view text = text_of(self).bytes;
  if (AtEnd && text.ends_with(affix->bytes)) text.remove_suffix(affix->bytes.size());
  if (!AtEnd && text.starts_with(affix->bytes)) text.remove_prefix(affix->bytes.size());
  return make_text(evaluation, std::string(text), text_of(self));
}

// ljust, rjust and center: shares of the padding that go before the text.
template <Side TextSide>
Result<Object> pad_method(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("just", arguments, {"width", "fillchar"}, 1));
  ASSIGN_OR_RETURN(const std::int64_t width, integer_argument("just", *bound[0]));
  const Text& text = text_of(self);
  std::string fill = " ";
  if (bound[1]) {
    ASSIGN_OR_RETURN(const Text* character, text_argument("just", *bound[1]));
    if (character->length != 1) {
      return invalid_argument("The fill character must be exactly one character long");
    }
    fill = character->bytes;
  }
  const std::int64_t missing = width - static_cast<std::int64_t>(text.length);
  if (missing <= 0) return self;
  if (missing > static_cast<std::int64_t>(limits::kTemplateWorkSizeMax) ||
      !evaluation.can_work(static_cast<std::size_t>(missing) * fill.size())) {
    return resource_exhausted("a padded string of the chat template is too long");
  }
  std::int64_t before = TextSide == Side::kLeft ? 0 : missing;
  // Spec: str.center puts the odd space before the text when the width is odd.
  if (TextSide == Side::kBoth) before = missing / 2 + (missing & width & 1);
  std::string padded;
  for (std::int64_t i = 0; i < before; ++i) padded += fill;
  padded += text.bytes;
  for (std::int64_t i = before; i < missing; ++i) padded += fill;
  return make_text(evaluation, std::move(padded), text);
}

Result<Object> zfill_method(Evaluation& evaluation,
                            const Object& self,
                            const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("zfill", arguments, {"width"}, 1));
  const Text& text = text_of(self);
  const bool has_sign = text.bytes.starts_with('+') || text.bytes.starts_with('-');
  const Object digits = Object::text(text.bytes.substr(has_sign ? 1 : 0), text.safe);
  ASSIGN_OR_RETURN(const std::int64_t width, integer_argument("zfill", *bound[0]));
  if (width <= static_cast<std::int64_t>(text.length)) return self;
  Arguments padding;
  padding.positional = {Object(width - (has_sign ? 1 : 0)), Object::text("0")};
  ASSIGN_OR_RETURN(const Object padded, pad_method<Side::kRight>(evaluation, digits, padding));
  if (!has_sign) return padded;
  return make_text(evaluation, text.bytes.substr(0, 1) + padded.as_text()->bytes, text);
}

template <bool (*Test)(char32_t)>
Result<Object> all_characters(Evaluation& evaluation,
                              const Object& self,
                              const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("str method", arguments, {}, 0).status());
  RETURN_IF_ERROR(evaluation.work(text_of(self).bytes.size()));
  const std::u32string characters = decode_characters(text_of(self).bytes);
  return Object(!characters.empty() && std::all_of(characters.begin(), characters.end(), Test));
}

bool is_letter_or_digit(char32_t c) { return is_letter(c) || is_digit(c); }
bool is_ascii_character(char32_t c) { return c < 0x80; }

// At least one cased character, and none of the other case.
template <bool (*Wanted)(char32_t), bool (*Other)(char32_t)>
Result<Object> one_case(Evaluation& evaluation, const Object& self, const Arguments& arguments) {
  RETURN_IF_ERROR(bind_arguments("str method", arguments, {}, 0).status());
  RETURN_IF_ERROR(evaluation.work(text_of(self).bytes.size()));
  const std::u32string characters = decode_characters(text_of(self).bytes);
  return Object(std::any_of(characters.begin(), characters.end(), Wanted) &&
                std::none_of(characters.begin(), characters.end(), Other));
}

constexpr auto kTextMethods = std::to_array<Method>({
    {"capitalize", change_case<capitalize>},
    {"casefold", nullptr},
    {"center", pad_method<Side::kBoth>},
    {"count", count_method},
    {"encode", nullptr},
    {"endswith", affix_method<true>},
    {"expandtabs", nullptr},
    {"find", find_method<false, Missing::kMinusOne>},
    {"format", format_method},
    {"format_map", nullptr},
    {"index", find_method<false, Missing::kError>},
    {"isalnum", all_characters<is_letter_or_digit>},
    {"isalpha", all_characters<is_letter>},
    {"isascii", all_characters<is_ascii_character>},
    {"isdecimal", all_characters<is_decimal>},
    {"isdigit", all_characters<is_digit>},
    {"isidentifier", nullptr},
    {"islower", one_case<is_lower, is_upper>},
    {"isnumeric", nullptr},
    {"isprintable", nullptr},
    {"isspace", all_characters<is_space>},
    {"istitle", nullptr},
    {"isupper", one_case<is_upper, is_lower>},
    {"join", join_method},
    {"ljust", pad_method<Side::kLeft>},
    {"lower", change_case<to_lower>},
    {"lstrip", strip_method<Side::kLeft>},
    {"maketrans", nullptr},
    {"partition", partition_method<false>},
    {"removeprefix", remove_affix_method<false>},
    {"removesuffix", remove_affix_method<true>},
    {"replace", replace_method},
    {"rfind", find_method<true, Missing::kMinusOne>},
    {"rindex", find_method<true, Missing::kError>},
    {"rjust", pad_method<Side::kRight>},
    {"rpartition", partition_method<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip_method<Side::kRight>},
    {"split", split_method<false>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<false>},
    {"strip", strip_method<Side::kBoth>},
    {"swapcase", nullptr},
    {"title", change_case<title_case>},
    {"translate", nullptr},
    {"upper", change_case<to_upper>},
    {"zfill", zfill_method},
});

}  // namespace

const Method* find_text_method(std::string_view name) {
  for (const Method& method : kTextMethods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

Result<Object> join_with(Evaluation& evaluation,
                         const Text& separator,
                         const std::vector<Object>& items) {
  TextBuilder out(evaluation);
  const std::string_view between = separator.bytes;
  for (std::size_t i = 0; i < items.size() && out.ok(); ++i) {
    if (i > 0) out.append(between);
    out.append(escaped_for(separator, *items[i].as_text()));
  }
  return std::move(out).finish(separator.safe);
}

Result<Object> replace_text(Evaluation& evaluation,
                            const Text& text,
                            const Text& before,
                            const Text& after,
                            std::int64_t count) {
  RETURN_IF_ERROR(evaluation.work(text.bytes.size()));
  TextBuilder out(evaluation);
  const std::string inserted = escaped_for(text, after);
  const std::string_view bytes = text.bytes;
  std::size_t at = 0;
  while (out.ok() && count-- != 0) {
    std::size_t found = find_bytes(bytes, before.bytes, at);
    if (found == bytes.npos) break;
    out.append(bytes.substr(at, found - at));
    out.append(inserted);
    at = found + before.bytes.size();
    if (!before.bytes.empty()) continue;
    // An empty pattern matches before every character and at the end.
    if (at >= bytes.size()) return std::move(out).finish(text.safe);
    const std::size_t size = offset_of(bytes.substr(at), 1);
    out.append(bytes.substr(at, size));
    at += size;
  }
  out.append(bytes.substr(at));
  return std::move(out).finish(text.safe);
}

}  // namespace inferneo::text::jinja
