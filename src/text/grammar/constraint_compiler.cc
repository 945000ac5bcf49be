#include "text/grammar/constraint_compiler.h"

#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/grammar/constraint.h"
#include "text/grammar/gbnf.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/position.h"
#include "text/grammar/regex.h"
#include "text/grammar/tool_rules.h"
#include "text/grammar/vocabulary.h"
#include "text/json.h"

namespace inferneo::text::grammar {
namespace {

// Joins the parts of a cache key so that no two lists of parts give the same key.
std::string make_key(std::initializer_list<std::string_view> parts) {
  std::string key;
  for (const std::string_view part : parts) {
    key += str(part.size(), ":");
    key += part;
  }
  return key;
}

std::string_view flag(bool on) { return on ? "1" : "0"; }

}  // namespace

ConstraintCompiler::ConstraintCompiler(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)) {}

ConstraintCompiler::~ConstraintCompiler() = default;

std::shared_ptr<const ConstraintVocabulary> ConstraintCompiler::vocabulary() {
  std::call_once(vocabulary_made_,
                 [this] { vocabulary_ = std::make_shared<ConstraintVocabulary>(tokenizer_); });
  return vocabulary_;
}

template <typename Build>
Result<ConstraintPtr> ConstraintCompiler::find_or_compile(std::string key, Build build) {
  if (ConstraintPtr found = find(key)) return found;
  const std::shared_ptr<const ConstraintVocabulary> vocabulary = this->vocabulary();
  Budget budget;
  Grammar grammar(budget);
  add_json_rules(grammar);
  ASSIGN_OR_RETURN(const ExprId root, build(grammar));
  grammar.root = grammar.add_rule("root", root);
  grammar.rules[grammar.root].apart = true;
  ASSIGN_OR_RETURN(Automaton automaton, Automaton::link(grammar, &vocabulary->json()));
  if (Position(automaton).next_bytes().none()) {
    return invalid_argument("matches only the empty text");
  }
  ConstraintPtr constraint = make_constraint(std::move(automaton), vocabulary);
  keep(std::move(key), constraint);
  return constraint;
}

Result<ConstraintPtr> ConstraintCompiler::json_object(bool compact) {
  return find_or_compile(
      make_key({"object", flag(compact)}), [&](Grammar& grammar) -> Result<ExprId> {
        return grammar.expressions.rule(compact ? kJsonCompactObject : kJsonObject);
      });
}

Result<ConstraintPtr> ConstraintCompiler::json_schema(const Value& schema, bool compact) {
  std::string text = to_json(schema);
  if (text.size() > limits::kGrammarSourceSizeMax) {
    return invalid_argument(str("has ",
                                text.size(),
                                " bytes, but at most ",
                                limits::kGrammarSourceSizeMax,
                                " are accepted"));
  }
  return find_or_compile(make_key({"schema", flag(compact), text}),
                         [&](Grammar& grammar) -> Result<ExprId> {
                           std::uint32_t root = 0;
                           const SchemaOptions options{.compact = compact};
                           RETURN_IF_ERROR(add_schema(grammar, schema, options, root));
                           return grammar.expressions.rule(root);
                         });
}

Result<ConstraintPtr> ConstraintCompiler::regex(std::string_view pattern) {
  return find_or_compile(make_key({"regex", pattern}), [&](Grammar& grammar) -> Result<ExprId> {
    ASSIGN_OR_RETURN(Dfa dfa, compile_regex(grammar.expressions, pattern, Spelling::kPlain));
    return grammar.expressions.dfa(std::move(dfa));
  });
}

Result<ConstraintPtr> ConstraintCompiler::choice(std::span<const std::string> choices) {
  if (choices.empty()) return invalid_argument("must hold at least one choice");
  if (choices.size() > limits::kGrammarChoiceCountMax) {
    return invalid_argument(str("holds ",
                                choices.size(),
                                " choices, but at most ",
                                limits::kGrammarChoiceCountMax,
                                " are accepted"));
  }
  std::string key = make_key({"choice"});
  for (const std::string& choice : choices) {
    if (choice.empty()) return invalid_argument("must not hold an empty choice");
    if (!utf8::is_valid(choice)) return invalid_argument("holds a choice that is not valid UTF-8");
    key += make_key({choice});
  }
  return find_or_compile(std::move(key), [&](Grammar& grammar) -> Result<ExprId> {
    std::vector<ExprId> options;
    for (const std::string& choice : choices)
      options.push_back(grammar.expressions.literal(choice));
    return grammar.expressions.choice(std::move(options));
  });
}

Result<ConstraintPtr> ConstraintCompiler::grammar(std::string_view source) {
  return find_or_compile(make_key({"grammar", source}), [&](Grammar& grammar) -> Result<ExprId> {
    RETURN_IF_ERROR(add_grammar_text(grammar, source));
    return grammar.expressions.rule(grammar.root);
  });
}

Result<ConstraintPtr> ConstraintCompiler::tool_calls(const ToolCallsShape& shape) {
  if (shape.tools.empty()) return invalid_argument("there is no tool to call");
  const ToolCallShape& call = shape.call;
  std::string key = make_key({"tools",
                              call.list_begin,
                              call.begin,
                              call.middle,
                              call.end,
                              call.separator,
                              call.list_end,
                              flag(call.pythonic),
                              flag(call.compact),
                              flag(shape.text_allowed),
                              str(shape.call_count_max)});
  for (const ToolShape& tool : shape.tools) {
    key += make_key({tool.name, tool.parameters == nullptr ? "" : to_json(*tool.parameters)});
  }
  if (key.size() > 4 * limits::kGrammarSourceSizeMax) {
    return invalid_argument(str("have ",
                                key.size(),
                                " bytes, but at most ",
                                4 * limits::kGrammarSourceSizeMax,
                                " are accepted"));
  }
  return find_or_compile(std::move(key), [&](Grammar& grammar) -> Result<ExprId> {
    return tool_calls_rule(grammar, *tokenizer_, shape);
  });
}

ConstraintPtr ConstraintCompiler::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  kept_.splice(kept_.begin(), kept_, found->second);
  return kept_.front().constraint;
}

void ConstraintCompiler::keep(std::string key, const ConstraintPtr& constraint) {
  const std::lock_guard lock(mutex_);
  if (by_key_.contains(key)) return;
  kept_.push_front({std::move(key), constraint});
  by_key_.emplace(kept_.front().key, kept_.begin());
  // Sizes are asked for each time: masks gather while constraints are used.
  std::size_t total = 0;
  for (auto it = kept_.begin(); it != kept_.end();) {
    total += it->key.size() + it->constraint->size_bytes();
    const bool fits = total <= limits::kGrammarCacheSizeMax || it == kept_.begin();
    if (fits) {
      ++it;
      continue;
    }
    by_key_.erase(it->key);
    it = kept_.erase(it);
  }
}

ConstraintCompiler::Usage ConstraintCompiler::usage() const {
  const std::lock_guard lock(mutex_);
  Usage usage{.count = kept_.size()};
  for (const Kept& kept : kept_) {
    usage.size_bytes += kept.key.size() + kept.constraint->size_bytes();
  }
  return usage;
}

}  // namespace inferneo::text::grammar
