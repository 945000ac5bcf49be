#include "text/grammar/schema_compiler.h"

#include "base/str.h"
#include "text/grammar/code_points.h"
#include "text/grammar/determinise.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/schema_keywords.h"

namespace inferneo::text::grammar {

std::optional<SchemaParts> SchemaCompiler::member_parts(const SchemaParts& parts,
                                                        const std::string& name) {
  SchemaParts inner;
  for (const SchemaPart& part : parts) {
    bool named = false;
    const Value* properties = part.schema->find("properties");
    if (const Value* own = properties == nullptr ? nullptr : properties->find(name)) {
      reader_.note(*part.schema, "properties", name, *own);
      inner.push_back({own, 0});
      named = true;
    }
    if (const Value* patterns = part.schema->find("patternProperties")) {
      for (const auto& [pattern, schema] : *patterns->as_dict()) {
        const Result<const Dfa*> language = strings_.pattern(pattern);
        if (!language.has_value()) return std::nullopt;
        if (!StringLanguages::contains(**language, name)) continue;
        reader_.note(*part.schema, "patternProperties", pattern, schema);
        inner.push_back({&schema, 0});
        named = true;
      }
    }
    const Value* additional = part.schema->find("additionalProperties");
    if (named || additional == nullptr) continue;
    reader_.note(*part.schema, "additionalProperties", "", *additional);
    inner.push_back({additional, 0});
  }
  return inner;
}

bool SchemaCompiler::is_free(const SchemaParts& parts) {
  return std::ranges::all_of(parts, [](const SchemaPart& part) {
    const Value* additional = part.schema->find("additionalProperties");
    return additional == nullptr || (additional->as_bool() != nullptr && *additional->as_bool()) ||
           (additional->as_dict() != nullptr && additional->as_dict()->empty());
  });
}

Result<std::vector<SchemaCompiler::Member>> SchemaCompiler::members_of(const SchemaParts& parts,
                                                                       bool as_arguments) {
  std::vector<Member> members;
  std::set<std::string> seen;
  const std::set<std::string> required = required_names(parts);
  const auto add = [&](const std::string& name) -> Status {
    if (!seen.insert(name).second) return ok_status();
    if (!e_.budget().spend(32 + name.size())) return Budget::failure();
    const std::optional<SchemaParts> inner = member_parts(parts, name);
    if (!inner) return unsupported("a pattern of 'patternProperties' is not supported");
    ExprId key = 0;
    if (as_arguments) {
      key = e_.sequence({e_.literal(name), e_.literal("=")});
    } else {
      key = e_.sequence({json_literal(e_, name), e_.literal(":"), space()});
    }
    members.push_back({name, required.contains(name), e_.sequence({key, any_or(*inner)})});
    return ok_status();
  };
  for (const SchemaPart& part : parts) {
    const Value* properties = part.schema->find("properties");
    if (properties == nullptr) continue;
    for (const auto& [name, schema] : *properties->as_dict()) RETURN_IF_ERROR(add(name));
  }
  // Names that are demanded but not described.
  for (const SchemaPart& part : parts) {
    const Value* list = part.schema->find("required");
    if (list == nullptr) continue;
    for (const Value& name : *list->as_list()) RETURN_IF_ERROR(add(*name.as_string()));
  }
  return members;
}

// Behind the opening quote: any name but those of the members, with the closing quote. Names that
// leave the known ones behind are read by the rule of all names, so that their masks are shared.
Result<ExprId> SchemaCompiler::key_except(const std::vector<Member>& members) {
  if (members.empty()) return e_.rule(kJsonKeyRest);
  std::vector<ExprId> names;
  for (const Member& member : members) {
    names.push_back(e_.literal(spell_text(member.name, Spelling::kInJson)));
  }
  ASSIGN_OR_RETURN(const Dfa known, determinise(e_, e_.choice(std::move(names))));
  const Dfa& any = strings_.any();
  if (any.empty()) return Budget::failure();
  Dfa key;
  key.states.resize(2);
  constexpr std::uint32_t kEnd = 1;
  key.states[kEnd].final = true;
  // A state: the state among all names, and that among the known ones (or none).
  using Pair = std::pair<std::uint32_t, std::uint32_t>;
  constexpr std::uint32_t kNone = UINT32_MAX;
  std::map<Pair, std::uint32_t> ids{{{0, 0}, 0}};
  std::vector<std::pair<Pair, std::uint32_t>> open{{{0, 0}, 0}};
  while (!open.empty()) {
    const auto [pair, id] = open.back();
    open.pop_back();
    const bool boundary = any.states[pair.first].final;
    if (pair.second == kNone && boundary) {
      key.states[id].calls.push_back({kJsonKeyRest, kEnd});
      continue;
    }
    std::vector<DfaEdge> edges;
    for (int byte = 0; byte < 256; ++byte) {
      const auto b = static_cast<std::uint8_t>(byte);
      if (b == '"' && boundary) {
        if (!known.states[pair.second].final) edges.push_back({b, b, kEnd});
        continue;
      }
      const auto next = next_state(any.states[pair.first], b);
      if (!next) continue;
      const auto named =
          pair.second == kNone ? std::nullopt : next_state(known.states[pair.second], b);
      const Pair target{*next, named.value_or(kNone)};
      const auto [found, added] =
          ids.try_emplace(target, static_cast<std::uint32_t>(key.states.size()));
      if (added) {
        key.states.emplace_back();
        open.emplace_back(target, found->second);
      }
      if (!edges.empty() && edges.back().target == found->second && edges.back().high + 1 == byte) {
        edges.back().high = b;
      } else {
        edges.push_back({b, b, found->second});
      }
    }
    if (!e_.budget().spend(64 + edges.size())) return Budget::failure();
    key.states[id].edges = std::move(edges);
  }
  return e_.dfa(std::move(key));
}

// Names beyond the described ones: those of each pattern, then all others.
Result<std::vector<ExprId>> SchemaCompiler::extra_pairs(const SchemaParts& parts,
                                                        const std::vector<Member>& members) {
  std::vector<ExprId> pairs;
  SchemaParts others;
  std::set<std::string> patterns;
  bool closed = false;
  for (const SchemaPart& part : parts) {
    if (const Value* additional = part.schema->find("additionalProperties")) {
      reader_.note(*part.schema, "additionalProperties", "", *additional);
      others.push_back({additional, 0});
      const bool* constant = additional->as_bool();
      closed = closed || (constant != nullptr && !*constant);
    }
    const Value* list = part.schema->find("patternProperties");
    if (list == nullptr) continue;
    for (const auto& [pattern, schema] : *list->as_dict()) patterns.insert(pattern);
  }
  const ExprId quote = e_.literal("\"");
  const auto pair = [&](ExprId key, ExprId value) {
    return e_.sequence({quote, key, e_.literal(":"), space(), value});
  };
  if (patterns.empty()) {
    if (closed) return pairs;
    ASSIGN_OR_RETURN(const ExprId key, key_except(members));
    pairs.push_back(pair(key, any_or(std::move(others))));
    return pairs;
  }
  // With patterns: languages of names, apart from each other.
  std::vector<ExprId> names;
  for (const Member& member : members) {
    names.push_back(e_.literal(spell_text(member.name, Spelling::kInJson)));
  }
  ASSIGN_OR_RETURN(const Dfa known, determinise(e_, e_.choice(std::move(names))));
  std::optional<Dfa> rest = subtract(strings_.any(), known, e_.budget());
  if (!rest) return Budget::failure();
  for (const std::string& pattern : patterns) {
    Result<const Dfa*> language = strings_.pattern(pattern);
    if (!language.has_value()) {
      return std::move(language).error().with_where(pointer_to(
          pointer_to(reader_.pointer(*parts.front().schema), "patternProperties"), pattern));
    }
    std::optional<Dfa> fitting = intersect(*rest, **language, e_.budget());
    std::optional<Dfa> left = fitting ? subtract(*rest, **language, e_.budget()) : std::nullopt;
    if (!left) return Budget::failure();
    rest = std::move(left);
    for (const std::string& other : patterns) {
      if (other == pattern) continue;
      ASSIGN_OR_RETURN(const Dfa* second, strings_.pattern(other));
      const std::optional<Dfa> both = intersect(**language, *second, e_.budget());
      if (!both) return Budget::failure();
      if (both->empty()) continue;
      return unsupported(
                 str("the patterns '",
                     printable(pattern),
                     "' and '",
                     printable(other),
                     "' of 'patternProperties' may both fit a name, which is not supported"))
          .with_where(pointer_to(reader_.pointer(*parts.front().schema), "patternProperties"));
    }
    // Every name of the language has the same schemas; any one of them finds these.
    SchemaParts inner;
    for (const SchemaPart& part : parts) {
      const Value* list = part.schema->find("patternProperties");
      const Value* own = list == nullptr ? nullptr : list->find(pattern);
      if (own != nullptr) {
        reader_.note(*part.schema, "patternProperties", pattern, *own);
        inner.push_back({own, 0});
      } else if (const Value* additional = part.schema->find("additionalProperties")) {
        inner.push_back({additional, 0});
      }
    }
    if (fitting->empty()) continue;
    const ExprId key = e_.sequence({e_.dfa(minimise(*std::move(fitting), e_.budget())), quote});
    pairs.push_back(pair(key, any_or(std::move(inner))));
  }
  if (!closed && !rest->empty()) {
    const ExprId key = e_.sequence({e_.dfa(minimise(*std::move(rest), e_.budget())), quote});
    pairs.push_back(pair(key, any_or(std::move(others))));
  }
  return pairs;
}

// Described members in their order, the optional ones or not, then others. Points: for each member
// and each count that matters, one before it without a comma and one with.
ExprId SchemaCompiler::object_graph(const std::vector<Member>& members,
                                    const std::vector<ExprId>& extras,
                                    CountRange range,
                                    bool as_arguments) {
  const bool counted = range.min > 0 || range.max != kRepeatForever;
  // Counts beyond this one are all alike.
  const std::uint32_t count_max = !counted                      ? 1
                                  : range.max != kRepeatForever ? range.max
                                                                : std::max(1U, range.min);
  const auto columns = count_max + 1;
  ExprGraph graph;
  graph.point_count = static_cast<std::uint32_t>(2 + (members.size() + 1) * columns);
  if (!e_.budget().spend(graph.point_count * 4)) return e_.never();
  const auto point = [&](std::size_t member, std::uint32_t count) {
    return static_cast<std::uint32_t>(2 + member * columns + count);
  };
  const ExprId comma = e_.sequence({e_.literal(","), space()});
  const auto with_comma = [&](ExprId pair, std::uint32_t count) {
    return count == 0 ? pair : e_.sequence({comma, pair});
  };
  const auto next_count = [&](std::uint32_t count) -> std::optional<std::uint32_t> {
    if (count < count_max) return count + 1;
    return counted && range.max != kRepeatForever ? std::nullopt : std::optional(count);
  };
  const ExprId nothing = e_.empty();
  const ExprId close =
      e_.sequence({as_arguments ? nothing : space(), as_arguments ? nothing : e_.literal("}")});
  graph.edges.push_back(
      {0, point(0, 0), as_arguments ? nothing : e_.sequence({e_.literal("{"), space()})});
  for (std::uint32_t count = 0; count < columns; ++count) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (const auto next = next_count(count)) {
        graph.edges.push_back(
            {point(i, count), point(i + 1, *next), with_comma(members[i].pair, count)});
      }
      if (!members[i].required)
        graph.edges.push_back({point(i, count), point(i + 1, count), nothing});
    }
    const std::uint32_t last = point(members.size(), count);
    for (const ExprId extra : extras) {
      if (const auto next = next_count(count)) {
        graph.edges.push_back({last, point(members.size(), *next), with_comma(extra, count)});
      }
    }
    if (count < range.min) continue;
    const bool empty = count == 0 && !as_arguments;
    graph.edges.push_back({last, 1, empty ? e_.literal("}") : close});
  }
  return e_.graph(std::move(graph));
}

Result<ExprId> SchemaCompiler::object_of(const SchemaParts& parts, bool as_arguments) {
  const CountRange range = count_range(parts, "minProperties", "maxProperties");
  if (range.min > range.max) return e_.never();
  ASSIGN_OR_RETURN(const std::vector<Member> members, members_of(parts, as_arguments));
  std::vector<ExprId> extras;
  if (!as_arguments) {
    ASSIGN_OR_RETURN(extras, extra_pairs(parts, members));
  }
  const auto required = static_cast<std::uint32_t>(
      std::ranges::count_if(members, [](const Member& member) { return member.required; }));
  if (range.min > required && !extras.empty()) {
    return unsupported(
               "'minProperties' is not supported where names beyond the required ones are free: "
               "the "
               "same name could be written twice")
        .with_where(reader_.pointer(*parts.front().schema));
  }
  if (members.empty() && extras.size() == 1 && range.max == kRepeatForever && !as_arguments &&
      !options_.pythonic && is_free(parts)) {
    return e_.rule(options_.compact ? kJsonCompactObject : kJsonObject);
  }
  return object_graph(members, extras, range, as_arguments);
}

}  // namespace inferneo::text::grammar
