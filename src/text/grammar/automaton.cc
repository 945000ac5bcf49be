#include "text/grammar/automaton.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "text/grammar/determinise.h"

namespace inferneo::text::grammar {
namespace {

// States with more edges get a table of all bytes.
constexpr std::size_t kEdgeCountMax = 4;
// Expressions up to this many nodes are copied into their callers.
constexpr std::size_t kInlinedSizeMax = 48;

using Kind = ExprNode::Kind;

// Facts about rules that decide how they are linked, found on expressions.
class RuleFacts {
 public:
  explicit RuleFacts(const Grammar& grammar)
      : grammar_(grammar),
        nullable_(grammar.rules.size()),
        recursive_(grammar.rules.size(), true),
        sizes_(grammar.rules.size()) {
    find_nullable();
    find_order();
  }

  [[nodiscard]] bool nullable(std::uint32_t rule) const { return nullable_[rule]; }
  [[nodiscard]] bool inlined(std::uint32_t rule) const {
    const Rule& r = grammar_.rules[rule];
    return !r.apart && r.counted == 0 && !recursive_[rule] && sizes_[rule] <= kInlinedSizeMax;
  }

 private:
  [[nodiscard]] bool is_nullable(ExprId id) const {
    const ExprNode& node = grammar_.expressions.node(id);
    const auto children = [&] { return grammar_.expressions.children(node); };
    switch (node.kind) {
      case Kind::kSequence:
        return std::ranges::all_of(children(), [&](ExprId c) { return is_nullable(c); });
      case Kind::kChoice:
        return std::ranges::any_of(children(), [&](ExprId c) { return is_nullable(c); });
      case Kind::kRepeat:
        return node.min == 0 || is_nullable(node.a);
      case Kind::kRule:
        return nullable_[node.a];
      case Kind::kDfa: {
        const Dfa& dfa = grammar_.expressions.automaton(node);
        return !dfa.empty() && dfa.states[0].final;
      }
      case Kind::kGraph:
        return is_nullable(grammar_.expressions.graph(node));
      case Kind::kBytes:
      case Kind::kLiteral:
        return false;
      case Kind::kBegin:
      case Kind::kEnd:
        break;
    }
    return true;
  }

  [[nodiscard]] bool is_nullable(const ExprGraph& graph) const {
    std::vector<bool> reached(graph.point_count);
    reached[0] = true;
    for (bool changed = true; changed;) {
      changed = false;
      for (const ExprGraph::Edge& edge : graph.edges) {
        if (!reached[edge.from] || reached[edge.to] || !is_nullable(edge.label)) continue;
        reached[edge.to] = true;
        changed = true;
      }
    }
    return reached[1];
  }

  // Rounds until nothing changes; usually two.
  void find_nullable() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = 0; i < nullable_.size(); ++i) {
        const Rule& rule = grammar_.rules[i];
        if (!grammar_.expressions.budget().spend(4)) return;
        if (nullable_[i] || rule.counted != 0 || !is_nullable(rule.body)) continue;
        nullable_[i] = true;
        changed = true;
      }
    }
  }

  void collect(ExprId id, std::vector<std::uint32_t>& rules, std::size_t& size) const {
    const ExprNode& node = grammar_.expressions.node(id);
    (void)grammar_.expressions.budget().spend(1);
    ++size;
    if (node.kind == Kind::kRule) rules.push_back(node.a);
    if (node.kind == Kind::kLiteral) size += grammar_.expressions.text(node).size();
    if (node.kind == Kind::kDfa) {
      const Dfa& dfa = grammar_.expressions.automaton(node);
      size += dfa.states.size();
      for (const DfaState& state : dfa.states) {
        for (const DfaCall& call : state.calls) rules.push_back(call.rule);
      }
    }
    if (node.kind == Kind::kGraph) {
      for (const ExprGraph::Edge& edge : grammar_.expressions.graph(node).edges) {
        collect(edge.label, rules, size);
      }
    }
    if (node.kind == Kind::kRepeat) {
      std::size_t inner = 0;
      collect(node.a, rules, inner);
      size += inner * std::max({1U, node.min, node.max == kRepeatForever ? 1U : node.max});
    }
    if (node.kind == Kind::kSequence || node.kind == Kind::kChoice) {
      for (const ExprId child : grammar_.expressions.children(node)) collect(child, rules, size);
    }
  }

  // Marks rules from which no cycle of calls can be reached, callees first; what remains recurs.
  void find_order() {
    const std::size_t count = grammar_.rules.size();
    std::vector<std::vector<std::uint32_t>> callers(count);
    std::vector<std::vector<std::uint32_t>> callees(count);
    std::vector<std::size_t> open(count);
    std::vector<std::uint32_t> ready;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (grammar_.rules[i].counted == 0) collect(grammar_.rules[i].body, callees[i], sizes_[i]);
      open[i] = callees[i].size();
      for (const std::uint32_t callee : callees[i]) callers[callee].push_back(i);
      if (open[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      const std::uint32_t rule = ready.back();
      ready.pop_back();
      recursive_[rule] = false;
      for (const std::uint32_t callee : callees[rule]) {
        if (inlined(callee)) sizes_[rule] += sizes_[callee];
      }
      for (const std::uint32_t caller : callers[rule]) {
        if (--open[caller] == 0) ready.push_back(caller);
      }
    }
  }

  const Grammar& grammar_;
  std::vector<bool> nullable_;
  std::vector<bool> recursive_;
  std::vector<std::size_t> sizes_;
};

Dfa counted_dfa(const CountedRule& rule) {
  // State 0 is the head; the character's own final states are merged into it.
  Dfa result;
  const auto place = [&](std::uint32_t state) {
    return rule.character.states[state].final ? 0 : state;
  };
  result.states.resize(rule.character.states.size() + 1);
  const auto exit = static_cast<std::uint32_t>(result.states.size() - 1);
  for (std::size_t i = 0; i < rule.character.states.size(); ++i) {
    for (DfaEdge edge : rule.character.states[i].edges) {
      edge.target = place(edge.target);
      result.states[i].edges.push_back(edge);
    }
  }
  auto& edges = result.states[0].edges;
  const DfaEdge close{rule.close, rule.close, exit};
  edges.insert(std::ranges::find_if(edges, [&](const DfaEdge& e) { return e.low > rule.close; }),
               close);
  result.states[exit].final = true;
  return result;
}

}  // namespace

// Builds the tables of an automaton from the automata of its rules.
class Linker {
 public:
  Linker(const Grammar& grammar, const Automaton* shared)
      : grammar_(grammar), shared_(shared), facts_(grammar) {}

  Result<Automaton> link() {
    if (shared_ != nullptr) {
      result_ = *shared_;
      first_rule_ = shared_->rules_.size();
    }
    dfas_.resize(grammar_.rules.size());
    linked_.resize(grammar_.rules.size());
    find_linked();
    for (std::size_t i = first_rule_; i < grammar_.rules.size(); ++i) {
      if (!linked_[i]) continue;
      RETURN_IF_ERROR(make_dfa(i));
    }
    drop_unproductive();
    if (grammar_.expressions.budget().exhausted()) return Budget::failure();
    if (grammar_.root >= first_rule_ && dfas_[grammar_.root].empty()) {
      return invalid_argument(str(
          "matches no text at all: rule '", grammar_.rules[grammar_.root].name, "' has no end"));
    }
    place_states();
    RETURN_IF_ERROR(check_left_recursion());
    find_first();
    result_.root_ = grammar_.root;
    find_outermost();
    if (grammar_.expressions.budget().exhausted()) return Budget::failure();
    return std::move(result_);
  }

 private:
  // Rules that the root calls; inlined ones need no automaton of their own.
  void find_linked() {
    std::vector<std::uint32_t> open;
    std::vector<bool> seen(grammar_.rules.size());
    for (std::uint32_t i = 0; i < grammar_.rules.size(); ++i) {
      if (i != grammar_.root && !grammar_.rules[i].apart) continue;
      seen[i] = true;
      linked_[i] = true;
      open.push_back(i);
    }
    while (!open.empty()) {
      const std::uint32_t rule = open.back();
      open.pop_back();
      if (rule < first_rule_ || grammar_.rules[rule].counted != 0) continue;
      visit_calls(grammar_.rules[rule].body, [&](std::uint32_t callee) {
        if (!facts_.inlined(callee)) linked_[callee] = true;
        if (seen[callee]) return;
        seen[callee] = true;
        open.push_back(callee);
      });
    }
  }

  template <typename Visit>
  void visit_calls(ExprId id, const Visit& visit) const {
    const ExprNode& node = grammar_.expressions.node(id);
    if (node.kind == Kind::kRule) visit(node.a);
    if (node.kind == Kind::kRepeat) visit_calls(node.a, visit);
    if (node.kind == Kind::kDfa) {
      for (const DfaState& state : grammar_.expressions.automaton(node).states) {
        for (const DfaCall& call : state.calls) visit(call.rule);
      }
    }
    if (node.kind == Kind::kGraph) {
      for (const ExprGraph::Edge& edge : grammar_.expressions.graph(node).edges) {
        visit_calls(edge.label, visit);
      }
    }
    if (node.kind == Kind::kSequence || node.kind == Kind::kChoice) {
      for (const ExprId child : grammar_.expressions.children(node)) visit_calls(child, visit);
    }
  }

  Status make_dfa(std::size_t rule) {
    const Rule& source = grammar_.rules[rule];
    if (source.counted != 0) {
      const CountedRule& counted = grammar_.counted[source.counted - 1];
      dfas_[rule] = counted_dfa(counted);
      return ok_status();
    }
    DeterminiseOptions options;
    options.rules = [this](std::uint32_t callee) {
      return RuleUse{.inlined = facts_.inlined(callee),
                     .nullable = facts_.nullable(callee),
                     .body = grammar_.rules[callee].body};
    };
    ASSIGN_OR_RETURN(Dfa dfa, determinise(grammar_.expressions, source.body, options));
    dfas_[rule] = minimise(std::move(dfa), grammar_.expressions.budget());
    return ok_status();
  }

  // A rule without words makes calls of it impassable, which may leave other rules without words.
  void drop_unproductive() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = first_rule_; i < dfas_.size(); ++i) {
        if (!grammar_.expressions.budget().spend(1)) return;
        if (!linked_[i]) continue;
        std::size_t dropped = 0;
        for (DfaState& state : dfas_[i].states) {
          dropped += std::erase_if(state.calls, [&](const DfaCall& call) {
            return call.rule >= first_rule_ && dfas_[call.rule].empty();
          });
        }
        if (dropped == 0) continue;
        changed = true;
        dfas_[i] = trim(std::move(dfas_[i]));
      }
      if (!changed) changed = drop_endless();
    }
  }

  // Rules whose every word would need a word of a rule like it ("a ::= 'x' a") have none either.
  bool drop_endless() {
    std::vector<bool> ends(dfas_.size());
    for (bool grown = true; grown;) {
      grown = false;
      for (std::size_t i = first_rule_; i < dfas_.size(); ++i) {
        if (!grammar_.expressions.budget().spend(1)) return false;
        if (!linked_[i] || ends[i] || !reaches_end(dfas_[i], ends)) continue;
        ends[i] = true;
        grown = true;
      }
    }
    bool dropped = false;
    for (std::size_t i = first_rule_; i < dfas_.size(); ++i) {
      if (!linked_[i] || ends[i] || dfas_[i].empty()) continue;
      dfas_[i] = {};
      dropped = true;
    }
    return dropped;
  }

  [[nodiscard]] bool reaches_end(const Dfa& dfa, const std::vector<bool>& ends) const {
    if (dfa.empty()) return false;
    std::vector<bool> seen(dfa.states.size());
    std::vector<std::uint32_t> open{0};
    seen[0] = true;
    while (!open.empty()) {
      const DfaState& state = dfa.states[open.back()];
      open.pop_back();
      if (state.final) return true;
      (void)grammar_.expressions.budget().spend(1 + state.edges.size());
      const auto visit = [&](std::uint32_t target) {
        if (!seen[target]) open.push_back(target);
        seen[target] = true;
      };
      for (const DfaEdge& edge : state.edges) visit(edge.target);
      for (const DfaCall& call : state.calls) {
        if (call.rule < first_rule_ || ends[call.rule]) visit(call.then);
      }
    }
    return false;
  }

  void place_states() {
    result_.rules_.resize(grammar_.rules.size());
    std::vector<StateId> base(dfas_.size());
    auto next = static_cast<StateId>(result_.states_.size());
    for (std::size_t i = first_rule_; i < dfas_.size(); ++i) {
      if (!linked_[i] || dfas_[i].empty()) continue;
      base[i] = next;
      result_.rules_[i].start = next;
      result_.rules_[i].nullable = dfas_[i].states[0].final;
      next += static_cast<StateId>(dfas_[i].states.size());
      if (result_.rules_[i].nullable) ++next;
    }
    for (std::size_t i = first_rule_; i < dfas_.size(); ++i) {
      if (linked_[i] && !dfas_[i].empty()) place_rule(i, base[i]);
    }
  }

  void find_outermost() {
    result_.outermost_begin_ = 0;
    result_.outermost_end_ = 0;
    const std::uint32_t root = grammar_.root;
    const auto calls_root = [&](const Call& call) { return call.rule == root; };
    // What others will be linked to has no root of its own.
    if (shared_ == nullptr || root < first_rule_) return;
    if (std::ranges::any_of(result_.calls_, calls_root)) return;
    const Automaton::RuleEntry& entry = result_.rules_[root];
    result_.outermost_begin_ = entry.start;
    result_.outermost_end_ =
        entry.start + static_cast<StateId>(dfas_[root].states.size()) + (entry.nullable ? 1 : 0);
  }

  // A call never reads the empty word, so a nullable rule starts in a copy of its first state that
  // is not final; the state itself stays for the ways that lead back to it.
  void place_rule(std::size_t rule, StateId base) {
    const Dfa& dfa = dfas_[rule];
    const bool nullable = dfa.states[0].final;
    const StateId shift = base + (nullable ? 1 : 0);
    std::uint32_t loop = 0;
    if (const std::uint32_t counted = grammar_.rules[rule].counted; counted != 0) {
      const CountedRule& source = grammar_.counted[counted - 1];
      const auto exit = static_cast<StateId>(base + dfa.states.size() - 1);
      result_.loops_.push_back({source.shape, base, exit, source.min, source.max});
      loop = static_cast<std::uint32_t>(result_.loops_.size());
    }
    if (nullable) place_state(dfa, dfa.states[0], shift, loop, false);
    for (const DfaState& state : dfa.states) {
      place_state(dfa, state, shift, state.final ? 0 : loop, state.final);
    }
  }

  void place_state(
      const Dfa& dfa, const DfaState& state, StateId shift, std::uint32_t loop, bool final) {
    Automaton::State placed;
    placed.final = final;
    placed.loop = loop;
    placed.edge_begin = static_cast<std::uint32_t>(result_.edges_.size());
    placed.call_begin = static_cast<std::uint32_t>(result_.calls_.size());
    if (state.edges.size() > kEdgeCountMax) {
      Automaton::Row row(256, kDeadState);
      for (const DfaEdge& edge : state.edges) {
        for (int byte = edge.low; byte <= edge.high; ++byte) {
          row[static_cast<std::size_t>(byte)] = shift + edge.target;
        }
      }
      (void)grammar_.expressions.budget().spend(64);
      result_.rows_.push_back(std::move(row));
      placed.row = static_cast<std::uint32_t>(result_.rows_.size());
    } else {
      for (const DfaEdge& edge : state.edges) {
        result_.edges_.push_back({edge.low, edge.high, shift + edge.target});
      }
      placed.edge_count = static_cast<std::uint16_t>(state.edges.size());
    }
    for (const DfaCall& call : state.calls) {
      const DfaState& then = dfa.states[call.then];
      const bool tail = then.final && then.edges.empty() && then.calls.empty();
      result_.calls_.push_back({call.rule, tail ? kReturn : shift + call.then});
    }
    placed.call_count =
        static_cast<std::uint16_t>(std::min<std::size_t>(state.calls.size(), UINT16_MAX));
    (void)grammar_.expressions.budget().spend(state.calls.size() / 256);
    if (state.calls.size() > UINT16_MAX) (void)grammar_.expressions.budget().spend(SIZE_MAX);
    result_.states_.push_back(placed);
  }

  // A rule that may call itself before it has read a byte would never end doing so.
  Status check_left_recursion() const {
    enum : std::uint8_t { kNew, kOpen, kDone };
    std::vector<std::uint8_t> marks(result_.rules_.size(), kNew);
    for (std::size_t root = first_rule_; root < result_.rules_.size(); ++root) {
      if (!linked_[root] || dfas_[root].empty() || marks[root] != kNew) continue;
      // Depth first, with a stack of its own: chains of rules may be long.
      std::vector<std::pair<std::size_t, std::size_t>> path{{root, 0}};
      marks[root] = kOpen;
      while (!path.empty()) {
        auto& [rule, at] = path.back();
        const auto calls = result_.calls(result_.rules_[rule].start);
        if (at == calls.size()) {
          marks[rule] = kDone;
          path.pop_back();
          continue;
        }
        const std::size_t callee = calls[at++].rule;
        if (marks[callee] == kOpen) {
          return invalid_argument(str("rule '",
                                      grammar_.rules[callee].name,
                                      "' calls itself before it reads anything (left recursion)"))
              .with_hint("write it as a repetition: instead of 'a ::= a b | c' use 'a ::= c b*'");
        }
        if (path.size() > limits::kGrammarLeftChainMax) {
          return invalid_argument(str("more than ",
                                      limits::kGrammarLeftChainMax,
                                      " rules begin with each other, from rule '",
                                      grammar_.rules[root].name,
                                      "' on"));
        }
        if (marks[callee] == kNew && callee >= first_rule_) {
          marks[callee] = kOpen;
          path.emplace_back(callee, 0);
        }
      }
    }
    return ok_status();
  }

  void find_first() {
    std::vector<std::uint8_t> done(result_.rules_.size(), 0);
    for (std::size_t i = 0; i < first_rule_; ++i) done[i] = 2;
    for (std::size_t root = first_rule_; root < result_.rules_.size(); ++root) {
      if (!linked_[root] || dfas_[root].empty() || done[root] == 2) continue;
      std::vector<std::size_t> path{root};
      while (!path.empty()) {
        const std::size_t rule = path.back();
        const StateId start = result_.rules_[rule].start;
        if (done[rule] == 0) {
          done[rule] = 1;
          for (const Call& call : result_.calls(start)) {
            if (done[call.rule] == 0) path.push_back(call.rule);
          }
          continue;
        }
        path.pop_back();
        if (done[rule] == 2) continue;
        done[rule] = 2;
        ByteSet& first = result_.rules_[rule].first;
        result_.add_bytes(start, 0, first);
        for (const Call& call : result_.calls(start)) first |= result_.rules_[call.rule].first;
      }
    }
  }

  const Grammar& grammar_;
  const Automaton* shared_;
  RuleFacts facts_;
  Automaton result_;
  std::size_t first_rule_ = 0;
  std::vector<Dfa> dfas_;
  std::vector<bool> linked_;
};

Result<Automaton> Automaton::link(const Grammar& grammar, const Automaton* shared) {
  return Linker(grammar, shared).link();
}

void Automaton::add_bytes(StateId state, std::uint32_t count, ByteSet& bytes) const {
  const State& s = states_[state];
  const auto add = [&](int byte, StateId target) {
    std::uint32_t counted = count;
    if (s.loop != 0 && count_character(loops_[s.loop - 1], state, target, counted) == kDeadState) {
      return;
    }
    bytes.set(static_cast<std::size_t>(byte));
  };
  if (s.row != 0) {
    const Row& row = rows_[s.row - 1];
    for (int byte = 0; byte < 256; ++byte) {
      const StateId target = row[static_cast<std::size_t>(byte)];
      if (target != kDeadState) add(byte, target);
    }
    return;
  }
  for (std::uint32_t i = 0; i < s.edge_count; ++i) {
    const Edge& edge = edges_[s.edge_begin + i];
    for (int byte = edge.low; byte <= edge.high; ++byte) add(byte, edge.target);
  }
}

std::size_t Automaton::size_bytes() const {
  return states_.size() * sizeof(State) + edges_.size() * sizeof(Edge) +
         rows_.size() * (sizeof(Row) + 256 * sizeof(StateId)) + calls_.size() * sizeof(Call) +
         loops_.size() * sizeof(Loop) + rules_.size() * sizeof(RuleEntry);
}

}  // namespace inferneo::text::grammar
