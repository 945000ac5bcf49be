#include "text/grammar/dfa.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace inferneo::text::grammar {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

// A product state: one of each automaton; kNone where the second has left its words.
using Pair = std::pair<std::uint32_t, std::uint32_t>;

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    return (std::uint64_t{pair.first} << 32U | pair.second) * 0x9e3779b97f4a7c15ULL >> 17U;
  }
};

// Walks both automata at once; `keep_outside` follows the first where the second has no edge.
class Product {
 public:
  Product(const Dfa& a, const Dfa& b, bool keep_outside, Budget& budget)
      : a_(a), b_(b), keep_outside_(keep_outside), budget_(budget) {}

  std::optional<Dfa> build() {
    if (a_.empty()) return Dfa{};
    id_of({0, b_.empty() ? kNone : 0});
    for (std::size_t at = 0; at < pairs_.size(); ++at) {
      if (!expand(at)) return std::nullopt;
    }
    return trim(std::move(result_));
  }

 private:
  std::uint32_t id_of(Pair pair) {
    const auto [found, added] = ids_.try_emplace(pair, static_cast<std::uint32_t>(pairs_.size()));
    if (added) {
      pairs_.push_back(pair);
      result_.states.emplace_back();
    }
    return found->second;
  }

  bool expand(std::size_t at) {
    const Pair pair = pairs_[at];
    const DfaState& a = a_.states[pair.first];
    static const DfaState kNothing;
    const DfaState& b = pair.second == kNone ? kNothing : b_.states[pair.second];
    if (!budget_.spend(1 + a.edges.size() + b.edges.size())) return false;
    std::vector<DfaEdge> edges;
    std::size_t j = 0;
    for (const DfaEdge& edge : a.edges) {
      int low = edge.low;
      while (low <= edge.high) {
        while (j < b.edges.size() && b.edges[j].high < low) ++j;
        const bool inside = j < b.edges.size() && b.edges[j].low <= low;
        int high = edge.high;
        if (inside) {
          high = std::min<int>(high, b.edges[j].high);
        } else if (j < b.edges.size()) {
          high = std::min<int>(high, b.edges[j].low - 1);
        }
        if (inside || keep_outside_) {
          const std::uint32_t target = id_of({edge.target, inside ? b.edges[j].target : kNone});
          edges.push_back(
              {static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high), target});
        }
        low = high + 1;
      }
    }
    DfaState& state = result_.states[at];
    state.edges = std::move(edges);
    state.final = a.final && b.final != keep_outside_;
    return true;
  }

  const Dfa& a_;
  const Dfa& b_;
  const bool keep_outside_;
  Budget& budget_;
  std::unordered_map<Pair, std::uint32_t, PairHash> ids_;
  std::vector<Pair> pairs_;
  Dfa result_;
};

// Neighbouring edges with one target become one.
void join_edges(std::vector<DfaEdge>& edges) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (kept > 0 && edges[kept - 1].target == edges[i].target &&
        edges[kept - 1].high + 1 == edges[i].low) {
      edges[kept - 1].high = edges[i].high;
    } else {
      edges[kept++] = edges[i];
    }
  }
  edges.resize(kept);
}

// Which states lead to a final one.
std::vector<bool> productive_states(const Dfa& dfa) {
  std::vector<std::vector<std::uint32_t>> sources(dfa.states.size());
  std::vector<std::uint32_t> open;
  std::vector<bool> productive(dfa.states.size());
  for (std::uint32_t i = 0; i < dfa.states.size(); ++i) {
    const DfaState& state = dfa.states[i];
    for (const DfaEdge& edge : state.edges) sources[edge.target].push_back(i);
    for (const DfaCall& call : state.calls) sources[call.then].push_back(i);
    if (!state.final) continue;
    productive[i] = true;
    open.push_back(i);
  }
  while (!open.empty()) {
    const std::uint32_t state = open.back();
    open.pop_back();
    for (const std::uint32_t source : sources[state]) {
      if (productive[source]) continue;
      productive[source] = true;
      open.push_back(source);
    }
  }
  return productive;
}

}  // namespace

std::optional<std::uint32_t> next_state(const DfaState& state, std::uint8_t byte) {
  for (const DfaEdge& edge : state.edges) {
    if (byte < edge.low) break;
    if (byte <= edge.high) return edge.target;
  }
  return std::nullopt;
}

bool matches(const Dfa& dfa, std::string_view text) {
  if (dfa.empty()) return false;
  std::uint32_t at = 0;
  for (const char c : text) {
    const auto next = next_state(dfa.states[at], static_cast<std::uint8_t>(c));
    if (!next) return false;
    at = *next;
  }
  return dfa.states[at].final;
}

std::optional<Dfa> intersect(const Dfa& a, const Dfa& b, Budget& budget) {
  return Product(a, b, false, budget).build();
}

std::optional<Dfa> subtract(const Dfa& a, const Dfa& b, Budget& budget) {
  return Product(a, b, true, budget).build();
}

Dfa trim(Dfa dfa) {
  if (dfa.empty()) return dfa;
  const std::vector<bool> productive = productive_states(dfa);
  if (!productive[0]) return {};
  // Kept: productive and reachable, numbered in the order of a walk from the start.
  std::vector<std::uint32_t> number(dfa.states.size(), kNone);
  std::vector<std::uint32_t> order{0};
  number[0] = 0;
  const auto visit = [&](std::uint32_t target) {
    if (!productive[target] || number[target] != kNone) return;
    number[target] = static_cast<std::uint32_t>(order.size());
    order.push_back(target);
  };
  for (std::size_t i = 0; i < order.size(); ++i) {
    const DfaState& state = dfa.states[order[i]];
    for (const DfaEdge& edge : state.edges) visit(edge.target);
    for (const DfaCall& call : state.calls) visit(call.then);
  }
  Dfa result;
  result.states.reserve(order.size());
  for (const std::uint32_t old : order) {
    DfaState state = std::move(dfa.states[old]);
    std::erase_if(state.edges, [&](const DfaEdge& edge) { return !productive[edge.target]; });
    std::erase_if(state.calls, [&](const DfaCall& call) { return !productive[call.then]; });
    for (DfaEdge& edge : state.edges) edge.target = number[edge.target];
    for (DfaCall& call : state.calls) call.then = number[call.then];
    join_edges(state.edges);
    result.states.push_back(std::move(state));
  }
  return result;
}

namespace {

// Finds states that do the same: those whose edges are equal once their targets are. Targets come
// first; where they are in a circle, one of its states stands for itself, so that not every pair of
// equal states in circles is found. One look at each edge, whatever the shape.
class Merger {
 public:
  explicit Merger(const Dfa& dfa)
      : dfa_(dfa),
        stands_for_(dfa.states.size(), kNone),
        open_(dfa.states.size()),
        sources_(dfa.states.size()) {
    for (std::uint32_t i = 0; i < dfa.states.size(); ++i) {
      visit_targets(i, [&](std::uint32_t target) {
        sources_[target].push_back(i);
        ++open_[i];
      });
    }
  }

  // By state: the one that stands for it.
  std::vector<std::uint32_t> merge() {
    for (std::uint32_t i = 0; i < dfa_.states.size(); ++i) {
      if (open_[i] == 0) ready_.push_back(i);
    }
    for (std::size_t i = dfa_.states.size(); i-- > 0;) {
      settle_ready();
      const auto state = static_cast<std::uint32_t>(i);
      if (stands_for_[state] == kNone) settle(state, state);
    }
    settle_ready();
    return std::move(stands_for_);
  }

 private:
  using Signature = std::vector<std::uint32_t>;
  static constexpr std::uint32_t kItself = kNone - 1;

  template <typename Visit>
  void visit_targets(std::uint32_t state, const Visit& visit) const {
    for (const DfaEdge& edge : dfa_.states[state].edges) {
      if (edge.target != state) visit(edge.target);
    }
    for (const DfaCall& call : dfa_.states[state].calls) {
      if (call.then != state) visit(call.then);
    }
  }

  void settle_ready() {
    while (!ready_.empty()) {
      const std::uint32_t state = ready_.back();
      ready_.pop_back();
      if (stands_for_[state] != kNone) continue;
      settle(state, known_.try_emplace(signature(state), state).first->second);
    }
  }

  void settle(std::uint32_t state, std::uint32_t representative) {
    stands_for_[state] = representative;
    for (const std::uint32_t source : sources_[state]) {
      if (--open_[source] == 0) ready_.push_back(source);
    }
  }

  [[nodiscard]] Signature signature(std::uint32_t index) const {
    const DfaState& state = dfa_.states[index];
    const auto target_of = [&](std::uint32_t target) {
      return target == index ? kItself : stands_for_[target];
    };
    Signature signature{state.final ? 1U : 0U};
    for (const DfaEdge& edge : state.edges) {
      const std::uint32_t target = target_of(edge.target);
      // Edges to one state that touch count as one.
      if (signature.size() >= 3 && signature.back() == target &&
          (signature[signature.size() - 2] & 0xffU) + 1 == edge.low) {
        std::uint32_t& range = signature[signature.size() - 2];
        range = (range & 0xff00U) | edge.high;
        continue;
      }
      signature.push_back(std::uint32_t{edge.low} << 8U | edge.high);
      signature.push_back(target);
    }
    signature.push_back(kNone);
    for (const DfaCall& call : state.calls) {
      signature.push_back(call.rule);
      signature.push_back(target_of(call.then));
    }
    return signature;
  }

  const Dfa& dfa_;
  std::vector<std::uint32_t> stands_for_;
  std::vector<std::uint32_t> open_;  // targets that are not settled
  std::vector<std::vector<std::uint32_t>> sources_;
  std::vector<std::uint32_t> ready_;
  std::map<Signature, std::uint32_t> known_;
};

}  // namespace

Dfa minimise(Dfa dfa, Budget& budget) {
  std::size_t edge_count = 0;
  for (const DfaState& state : dfa.states) edge_count += state.edges.size() + state.calls.size();
  if (dfa.states.size() < 2 || !budget.spend(4 * (dfa.states.size() + edge_count))) return dfa;
  const std::vector<std::uint32_t> stands_for = Merger(dfa).merge();
  for (DfaState& state : dfa.states) {
    for (DfaEdge& edge : state.edges) edge.target = stands_for[edge.target];
    for (DfaCall& call : state.calls) call.then = stands_for[call.then];
  }
  // The start stays in front; what is not reached any more goes.
  if (stands_for[0] != 0) dfa.states[0] = dfa.states[stands_for[0]];
  return trim(std::move(dfa));
}

}  // namespace inferneo::text::grammar
