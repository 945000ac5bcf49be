#include "text/grammar/schema_compiler.h"

#include "base/limits.h"
#include "base/str.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/schema_keywords.h"

namespace inferneo::text::grammar {
namespace {

// Larger counts are as good as none.
constexpr std::uint32_t kCountMax = 1'000'000;

std::uint32_t read_count(const Value& value) {
  return static_cast<std::uint32_t>(std::min<double>(number_of(value), kCountMax));
}

}  // namespace

Status SchemaCompiler::compile(const Value& root, std::uint32_t& rule) {
  SchemaParts parts{{&root, 0}};
  if (options_.object_only) parts.push_back({&object_, 0});
  root_rule_ = rule_of(std::move(parts));
  for (std::size_t i = 0; i < open_.size(); ++i) {
    const Open open = open_[i];
    RETURN_IF_ERROR(compile_rule(open));
    if (e_.budget().exhausted() || grammar_.rules.size() > limits::kGrammarRuleCountMax) {
      return Budget::failure();
    }
  }
  rule = root_rule_;
  return ok_status();
}

std::uint32_t SchemaCompiler::rule_of(SchemaParts parts) {
  SchemaParts key = parts;
  std::sort(key.begin(), key.end());
  key.erase(std::unique(key.begin(), key.end()), key.end());
  const auto [found, added] = rules_.try_emplace(std::move(key), 0);
  if (added) {
    const std::string& name = parts.empty() ? any_name_ : reader_.pointer(*parts.front().schema);
    found->second = grammar_.add_rule(name, e_.never());
    open_.push_back({found->second, std::move(parts)});
  }
  return found->second;
}

Status SchemaCompiler::compile_rule(const Open& open) {
  ASSIGN_OR_RETURN(const FlatSchema flat, reader_.flatten(open.parts));
  if (flat.impossible) return ok_status();
  ExprId body = 0;
  if (flat.open_part != nullptr) {
    ASSIGN_OR_RETURN(body, alternatives(flat));
  } else {
    ASSIGN_OR_RETURN(body, value_of(flat.parts, open.rule == root_rule_));
  }
  grammar_.rules[open.rule].body = body;
  return ok_status();
}

ExprId SchemaCompiler::any_or(SchemaParts parts) {
  if (!parts.empty()) return e_.rule(rule_of(std::move(parts)));
  if (options_.pythonic) return e_.rule(rule_of({{&anything_, 0}}));
  return e_.rule(options_.compact ? kJsonCompactValue : kJsonValue);
}

ExprId SchemaCompiler::space() { return options_.compact ? e_.empty() : e_.rule(kJsonSpace); }

CountRange count_range(const SchemaParts& parts, const char* min, const char* max) {
  CountRange range;
  for (const SchemaPart& part : parts) {
    if (const Value* low = part.schema->find(min))
      range.min = std::max(range.min, read_count(*low));
    if (const Value* high = part.schema->find(max))
      range.max = std::min(range.max, read_count(*high));
  }
  return range;
}

}  // namespace inferneo::text::grammar
