#include "text/grammar/determinise.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace inferneo::text::grammar {
namespace {

using NfaId = std::uint32_t;

struct Nfa {
  struct State {
    std::vector<DfaEdge> edges;
    std::vector<DfaCall> calls;
    std::vector<NfaId> empty;  // steps that read nothing
    NfaId at_begin = 0;        // such a step where the text begins; 0 for none
    NfaId at_end = 0;          // where it ends
  };
  std::vector<State> states;
  NfaId start = 0;
  NfaId final = 0;
};

struct Fragment {
  NfaId in = 0;
  NfaId out = 0;
};

// Thompson's construction. A failure shows as an exhausted budget; what is built then is not used.
class NfaBuilder {
 public:
  NfaBuilder(const Expressions& expressions, const DeterminiseOptions& options, Nfa& nfa)
      : expressions_(expressions), options_(options), nfa_(nfa) {}

  void build(ExprId root) {
    add_state();  // 0 stands for "none"
    Fragment whole = visit(root);
    if (options_.search) {
      const NfaId begin = add_state();
      const NfaId end = add_state();
      const Fragment before = visit(options_.any);
      const Fragment after = visit(options_.any);
      link(begin, before.in);
      link(before.out, begin);
      link(begin, whole.in);
      link(whole.out, end);
      link(end, after.in);
      link(after.out, end);
      whole = {begin, end};
    }
    nfa_.start = whole.in;
    nfa_.final = whole.out;
  }

 private:
  using Kind = ExprNode::Kind;

  NfaId add_state() {
    // Why 12: a state takes about 100 bytes, so that the budget also bounds memory.
    (void)expressions_.budget().spend(12);
    nfa_.states.emplace_back();
    return static_cast<NfaId>(nfa_.states.size() - 1);
  }
  void link(NfaId from, NfaId to) { nfa_.states[from].empty.push_back(to); }

  Fragment visit(ExprId id) {
    if (expressions_.budget().exhausted()) return {};
    const ExprNode& node = expressions_.node(id);
    switch (node.kind) {
      case Kind::kBytes:
        return visit_bytes(node.low, node.high);
      case Kind::kLiteral:
        return visit_literal(expressions_.text(node));
      case Kind::kSequence:
        return visit_sequence(node);
      case Kind::kChoice:
        return visit_choice(node);
      case Kind::kRepeat:
        return visit_repeat(node);
      case Kind::kRule:
        return visit_rule(node.a);
      case Kind::kDfa:
        return visit_dfa(expressions_.automaton(node));
      case Kind::kGraph:
        return visit_graph(expressions_.graph(node));
      case Kind::kBegin:
      case Kind::kEnd:
        break;
    }
    const Fragment fragment{add_state(), add_state()};
    (node.kind == Kind::kBegin ? nfa_.states[fragment.in].at_begin
                               : nfa_.states[fragment.in].at_end) = fragment.out;
    return fragment;
  }

  Fragment visit_bytes(std::uint8_t low, std::uint8_t high) {
    const Fragment fragment{add_state(), add_state()};
    nfa_.states[fragment.in].edges.push_back({low, high, fragment.out});
    return fragment;
  }

  Fragment visit_literal(const std::string& text) {
    Fragment fragment{add_state(), 0};
    NfaId at = fragment.in;
    for (const char c : text) {
      const NfaId next = add_state();
      const auto byte = static_cast<std::uint8_t>(c);
      nfa_.states[at].edges.push_back({byte, byte, next});
      at = next;
    }
    fragment.out = at;
    return fragment;
  }

  Fragment visit_sequence(const ExprNode& node) {
    const NfaId in = add_state();
    NfaId at = in;
    for (const ExprId child : expressions_.children(node)) {
      const Fragment part = visit(child);
      link(at, part.in);
      at = part.out;
    }
    return {in, at};
  }

  Fragment visit_choice(const ExprNode& node) {
    const Fragment fragment{add_state(), add_state()};
    for (const ExprId child : expressions_.children(node)) {
      const Fragment option = visit(child);
      link(fragment.in, option.in);
      link(option.out, fragment.out);
    }
    return fragment;
  }

  Fragment visit_repeat(const ExprNode& node) {
    const NfaId in = add_state();
    NfaId at = in;
    for (std::uint32_t i = 0; i < node.min && !expressions_.budget().exhausted(); ++i) {
      const Fragment part = visit(node.a);
      link(at, part.in);
      at = part.out;
    }
    if (node.max == kRepeatForever) {
      const NfaId loop = add_state();
      const Fragment part = visit(node.a);
      link(at, loop);
      link(loop, part.in);
      link(part.out, loop);
      return {in, loop};
    }
    const NfaId out = add_state();
    for (std::uint32_t i = node.min; i < node.max && !expressions_.budget().exhausted(); ++i) {
      const Fragment part = visit(node.a);
      link(at, out);
      link(at, part.in);
      at = part.out;
    }
    link(at, out);
    return {in, out};
  }

  Fragment visit_rule(std::uint32_t rule) {
    const RuleUse use = options_.rules(rule);
    if (use.inlined) return visit(use.body);
    const Fragment fragment{add_state(), add_state()};
    nfa_.states[fragment.in].calls.push_back({rule, fragment.out});
    if (use.nullable) link(fragment.in, fragment.out);
    return fragment;
  }

  Fragment visit_dfa(const Dfa& dfa) {
    const NfaId in = add_state();
    const NfaId out = add_state();
    if (dfa.empty()) return {in, out};
    const auto base = static_cast<NfaId>(nfa_.states.size());
    for (const DfaState& state : dfa.states) {
      (void)expressions_.budget().spend(state.edges.size());
      const NfaId copy = add_state();
      for (const DfaEdge& edge : state.edges) {
        nfa_.states[copy].edges.push_back({edge.low, edge.high, base + edge.target});
      }
      for (const DfaCall& call : state.calls) {
        nfa_.states[copy].calls.push_back({call.rule, base + call.then});
      }
      if (state.final) link(copy, out);
    }
    link(in, base);
    return {in, out};
  }

  Fragment visit_graph(const ExprGraph& graph) {
    const auto base = static_cast<NfaId>(nfa_.states.size());
    for (std::uint32_t i = 0; i < graph.point_count; ++i) add_state();
    for (const ExprGraph::Edge& edge : graph.edges) {
      const Fragment part = visit(edge.label);
      link(base + edge.from, part.in);
      link(part.out, base + edge.to);
    }
    return {base, base + 1};
  }

  const Expressions& expressions_;
  const DeterminiseOptions& options_;
  Nfa& nfa_;
};

// A state of the subset automaton: items in ascending order. An item is twice the state of the NFA,
// plus one when an end of the text was demanded, behind which nothing may be read.
using Subset = std::vector<std::uint32_t>;

struct SubsetHash {
  std::size_t operator()(const Subset& subset) const {
    std::uint64_t hash = 14695981039346656037U;
    for (const std::uint32_t item : subset) hash = (hash ^ item) * 1099511628211U;
    return hash;
  }
};

class SubsetBuilder {
 public:
  SubsetBuilder(const Nfa& nfa, Budget& budget)
      : nfa_(nfa), budget_(budget), seen_(nfa.states.size() * 2) {}

  Result<Dfa> build() {
    id_of(closure({nfa_.start * 2}, true));
    for (std::size_t at = 0; at < subsets_.size(); ++at) {
      expand(at);
      if (budget_.exhausted()) return Budget::failure();
    }
    return trim(std::move(result_));
  }

 private:
  std::uint32_t id_of(Subset subset) {
    const auto [found, added] =
        ids_.try_emplace(std::move(subset), static_cast<std::uint32_t>(subsets_.size()));
    if (added) {
      (void)budget_.spend(8 + found->first.size());
      subsets_.push_back(&found->first);
      result_.states.emplace_back();
    }
    return found->second;
  }

  Subset closure(Subset items, bool at_begin) {
    ++mark_;
    std::size_t kept = 0;
    for (const std::uint32_t item : items) {
      if (seen_[item] == mark_) continue;
      seen_[item] = mark_;
      items[kept++] = item;
    }
    items.resize(kept);
    const auto visit = [&](NfaId state, std::uint32_t ended) {
      const std::uint32_t item = state * 2 + ended;
      if (seen_[item] == mark_) return;
      seen_[item] = mark_;
      items.push_back(item);
    };
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::uint32_t ended = items[i] & 1U;
      const Nfa::State& state = nfa_.states[items[i] / 2];
      for (const NfaId next : state.empty) visit(next, ended);
      if (at_begin && state.at_begin != 0) visit(state.at_begin, ended);
      if (state.at_end != 0) visit(state.at_end, 1);
    }
    (void)budget_.spend(items.size());
    // Only states that do something tell subsets apart.
    std::erase_if(items, [&](std::uint32_t item) {
      const Nfa::State& state = nfa_.states[item / 2];
      return state.edges.empty() && state.calls.empty() && item / 2 != nfa_.final;
    });
    std::sort(items.begin(), items.end());
    return items;
  }

  void expand(std::size_t at) {
    const Subset& subset = *subsets_[at];
    std::vector<DfaEdge> edges;
    std::vector<DfaCall> calls;
    bool final = false;
    for (const std::uint32_t item : subset) {
      final = final || item / 2 == nfa_.final;
      if ((item & 1U) != 0) continue;
      const Nfa::State& state = nfa_.states[item / 2];
      edges.insert(edges.end(), state.edges.begin(), state.edges.end());
      calls.insert(calls.end(), state.calls.begin(), state.calls.end());
    }
    if (!budget_.spend(1 + edges.size() * 2 + calls.size())) return;
    std::vector<DfaEdge> split = split_edges(edges);
    std::vector<DfaCall> joined = join_calls(calls);
    DfaState& state = result_.states[at];
    state.edges = std::move(split);
    state.calls = std::move(joined);
    state.final = final;
  }

  // Cuts the byte range where any edge begins or ends.
  std::vector<DfaEdge> split_edges(const std::vector<DfaEdge>& edges) {
    std::vector<DfaEdge> result;
    if (edges.empty()) return result;
    std::vector<std::uint32_t> cuts;
    for (const DfaEdge& edge : edges) {
      cuts.push_back(edge.low);
      cuts.push_back(edge.high + 1U);
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      Subset targets;
      for (const DfaEdge& edge : edges) {
        if (edge.low <= cuts[i] && cuts[i] <= edge.high) targets.push_back(edge.target * 2);
      }
      if (!budget_.spend(edges.size() / 4 + targets.size())) return result;
      if (targets.empty()) continue;
      result.push_back({static_cast<std::uint8_t>(cuts[i]),
                        static_cast<std::uint8_t>(cuts[i + 1] - 1),
                        id_of(closure(std::move(targets), false))});
    }
    return result;
  }

  std::vector<DfaCall> join_calls(std::vector<DfaCall>& calls) {
    std::sort(calls.begin(), calls.end(), [](const DfaCall& a, const DfaCall& b) {
      return a.rule < b.rule;
    });
    std::vector<DfaCall> result;
    for (std::size_t i = 0; i < calls.size();) {
      Subset targets;
      const std::uint32_t rule = calls[i].rule;
      for (; i < calls.size() && calls[i].rule == rule; ++i) targets.push_back(calls[i].then * 2);
      result.push_back({rule, id_of(closure(std::move(targets), false))});
    }
    return result;
  }

  const Nfa& nfa_;
  Budget& budget_;
  std::vector<std::uint64_t> seen_;
  std::uint64_t mark_ = 0;
  std::unordered_map<Subset, std::uint32_t, SubsetHash> ids_;
  std::vector<const Subset*> subsets_;
  Dfa result_;
};

}  // namespace

Result<Dfa> determinise(const Expressions& expressions,
                        ExprId root,
                        const DeterminiseOptions& options) {
  Nfa nfa;
  NfaBuilder(expressions, options, nfa).build(root);
  if (expressions.budget().exhausted()) return Budget::failure();
  return SubsetBuilder(nfa, expressions.budget()).build();
}

}  // namespace inferneo::text::grammar
