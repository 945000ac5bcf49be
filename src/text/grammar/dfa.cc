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

// Moore's refinement: classes split by where the edges lead until nothing changes.
Dfa minimise(Dfa dfa, Budget& budget) {
  const std::size_t count = dfa.states.size();
  // Why a bound: the rounds grow with the states, and large automata gain little.
  constexpr std::size_t kCountMax = 1000;
  if (count < 2 || count > kCountMax) return dfa;
  std::vector<std::uint32_t> group(count);
  for (std::size_t i = 0; i < count; ++i) group[i] = dfa.states[i].final ? 1 : 0;
  using Signature = std::vector<std::uint32_t>;
  std::size_t group_count = 0;
  for (;;) {
    std::map<Signature, std::uint32_t> groups;
    std::vector<std::uint32_t> next(count);
    for (std::size_t i = 0; i < count; ++i) {
      const DfaState& state = dfa.states[i];
      if (!budget.spend(2 + state.edges.size() + state.calls.size())) return dfa;
      Signature signature{group[i]};
      for (const DfaEdge& edge : state.edges) {
        const std::uint32_t target = group[edge.target];
        // Edges that lead to one group and touch count as one.
        if (signature.size() >= 3 && signature.back() == target &&
            (signature[signature.size() - 2] & 0xffU) + 1 == edge.low) {
          signature[signature.size() - 2] = (signature[signature.size() - 2] & 0xff00U) | edge.high;
          continue;
        }
        signature.push_back(std::uint32_t{edge.low} << 8U | edge.high);
        signature.push_back(target);
      }
      signature.push_back(kNone);
      for (const DfaCall& call : state.calls) {
        signature.push_back(call.rule);
        signature.push_back(group[call.then]);
      }
      const auto id = static_cast<std::uint32_t>(groups.size());
      next[i] = groups.try_emplace(std::move(signature), id).first->second;
    }
    group = std::move(next);
    if (groups.size() == group_count) break;
    group_count = groups.size();
  }
  if (group_count == count) return dfa;
  Dfa result;
  result.states.resize(group_count);
  std::vector<bool> filled(group_count);
  for (std::size_t i = 0; i < count; ++i) {
    if (filled[group[i]]) continue;
    filled[group[i]] = true;
    DfaState& state = result.states[group[i]];
    state = std::move(dfa.states[i]);
    for (DfaEdge& edge : state.edges) edge.target = group[edge.target];
    for (DfaCall& call : state.calls) call.then = group[call.then];
  }
  // The group of the start comes first.
  return trim(std::move(result));
}

}  // namespace inferneo::text::grammar
