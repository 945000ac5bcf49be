#include "text/grammar/tool_rules.h"

#include <string>
#include <utility>
#include <vector>

#include "base/str.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/token_trie.h"

namespace inferneo::text::grammar {
namespace {

// The bytes of a text, where names of special tokens are the escapes of these.
std::string marked_bytes(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> ids;
  tokenizer.encode(text, {.add_special_tokens = false, .parse_added_tokens = true}, ids);
  std::string bytes;
  std::size_t at = 0;
  for (const TokenId id : ids) {
    if (!tokenizer.is_special(id)) continue;
    const std::string_view name = tokenizer.token_name(id);
    const std::size_t found = text.find(name, at);
    if (name.empty() || found == std::string_view::npos) continue;
    bytes += text.substr(at, found - at);
    bytes += special_bytes(id);
    at = found + name.size();
  }
  bytes += text.substr(at);
  return bytes;
}

// Knuth, Morris and Pratt: for each length read of the mark, the state behind each byte. The last
// state is the end; bytes that no text holds are only read inside of the mark.
Dfa mark_automaton(const std::string& mark, bool ends_anywhere) {
  Dfa dfa;
  dfa.states.resize(mark.size() + 1);
  std::vector<std::vector<std::uint32_t>> next(mark.size(), std::vector<std::uint32_t>(256, 0));
  std::uint32_t fallback = 0;
  for (std::uint32_t i = 0; i < mark.size(); ++i) {
    const auto byte = static_cast<std::uint8_t>(mark[i]);
    if (i > 0) next[i] = next[fallback];
    next[i][byte] = i + 1;
    if (i > 0) fallback = next[fallback][byte];
  }
  const auto is_inside_escape = [&](std::uint32_t state) {
    for (std::uint32_t back = 1; back <= 4 && back <= state; ++back) {
      if (static_cast<std::uint8_t>(mark[state - back]) == kSpecialEscape) return true;
    }
    return false;
  };
  for (std::uint32_t i = 0; i < mark.size(); ++i) {
    DfaState& state = dfa.states[i];
    state.final = ends_anywhere && !is_inside_escape(i);
    for (int value = 0; value < 256; ++value) {
      const auto byte = static_cast<std::uint8_t>(value);
      const std::uint32_t target = next[i][byte];
      const bool on_mark = target == i + 1;
      if (!on_mark && (byte == kSpecialEscape || is_inside_escape(i))) continue;
      if (ends_anywhere && target == mark.size()) continue;
      if (!state.edges.empty() && state.edges.back().target == target &&
          state.edges.back().high + 1 == value) {
        state.edges.back().high = byte;
      } else {
        state.edges.push_back({byte, byte, target});
      }
    }
  }
  dfa.states.back().final = !ends_anywhere;
  return trim(std::move(dfa));
}

// What shows in free text that a call begins: a name in brackets where the form begins with one,
// else all that calls have in common.
std::string call_mark(const ToolCallShape& call) {
  const std::string whole = call.list_begin + call.begin;
  const char close = whole.starts_with('<') ? '>' : whole.starts_with('[') ? ']' : '\0';
  const std::size_t end = close == '\0' ? std::string::npos : whole.find(close);
  constexpr std::size_t kNameSizeMin = 4;
  if (end != std::string::npos && end >= kNameSizeMin && whole.find_first_of(" \n{\"") > end) {
    return whole.substr(0, end + 1);
  }
  return whole;
}

Result<ExprId> calls_of(Grammar& grammar, const Tokenizer& tokenizer, const ToolCallsShape& shape) {
  Expressions& e = grammar.expressions;
  std::vector<ExprId> options;
  for (const ToolShape& tool : shape.tools) {
    static const Value kAnyObject = Value(Value::Dict{});
    SchemaOptions options_of_schema;
    options_of_schema.compact = shape.call.compact;
    options_of_schema.pythonic = shape.call.pythonic;
    options_of_schema.object_only = true;
    std::uint32_t rule = 0;
    Status status = add_schema(grammar,
                               tool.parameters == nullptr ? kAnyObject : *tool.parameters,
                               options_of_schema,
                               rule);
    if (!status.ok()) {
      std::string where = tool.field + status.where();
      return std::move(status).with_where(std::move(where));
    }
    options.push_back(e.sequence(
        {e.literal(tool.name), marked_text(grammar, tokenizer, shape.call.middle), e.rule(rule)}));
  }
  const ExprId call = e.choice(std::move(options));
  return e.sequence({call, marked_text(grammar, tokenizer, shape.call.end)});
}

}  // namespace

ExprId marked_text(Grammar& grammar, const Tokenizer& tokenizer, std::string_view text) {
  return grammar.expressions.literal(marked_bytes(tokenizer, text));
}

Result<ExprId> text_until(Grammar& grammar, const Tokenizer& tokenizer, std::string_view mark) {
  const std::string bytes = marked_bytes(tokenizer, mark);
  if (!grammar.expressions.budget().spend(bytes.size() * 64)) return Budget::failure();
  return grammar.expressions.dfa(mark_automaton(bytes, false));
}

Result<ExprId> tool_calls_rule(Grammar& grammar,
                               const Tokenizer& tokenizer,
                               const ToolCallsShape& shape) {
  Expressions& e = grammar.expressions;
  const ToolCallShape& form = shape.call;
  ASSIGN_OR_RETURN(const ExprId named_call, calls_of(grammar, tokenizer, shape));
  const ExprId begin = marked_text(grammar, tokenizer, form.begin);
  const ExprId separator = marked_text(grammar, tokenizer, form.separator);
  const ExprId list_end = marked_text(grammar, tokenizer, form.list_end);
  const std::uint32_t more_max = shape.call_count_max == 0
                                     ? kRepeatForever
                                     : static_cast<std::uint32_t>(shape.call_count_max - 1);
  // One rule, so that its automaton is not copied to each place.
  const std::uint32_t call = grammar.add_rule("tool call", named_call);
  grammar.rules[call].apart = true;
  const ExprId more = e.repeat(e.sequence({separator, begin, e.rule(call)}), 0, more_max);
  if (!shape.text_allowed) {
    return e.sequence(
        {marked_text(grammar, tokenizer, form.list_begin), begin, e.rule(call), more, list_end});
  }
  // Free text; behind a mark one list of calls; then free text again where more calls may come.
  const std::string whole = form.list_begin + form.begin;
  const std::string mark = call_mark(form);
  if (mark.empty()) {
    return invalid_argument("a tool call needs a text that shows in free text where it begins");
  }
  ASSIGN_OR_RETURN(const ExprId until, text_until(grammar, tokenizer, mark));
  const ExprId list = e.sequence({until,
                                  marked_text(grammar, tokenizer, whole.substr(mark.size())),
                                  e.rule(call),
                                  more,
                                  list_end});
  const ExprId rest = e.dfa(mark_automaton(marked_bytes(tokenizer, mark), true));
  const ExprId lists =
      shape.call_count_max == 0 ? e.repeat(list, 0, kRepeatForever) : e.optional(list);
  return e.sequence({lists, rest});
}

}  // namespace inferneo::text::grammar
