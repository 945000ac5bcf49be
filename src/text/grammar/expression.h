// Expressions over bytes: what regular expressions, schemas and grammars are translated into before
// automata are made of them. Nodes live in one arena and are named by index; a node only refers to
// nodes made before it, except through rules.
// Thread: one owner. Ownership: the arena owns all nodes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/grammar/budget.h"
#include "text/grammar/dfa.h"

namespace inferneo::text::grammar {

using ExprId = std::uint32_t;

inline constexpr std::uint32_t kRepeatForever = UINT32_MAX;

struct ByteSpan {
  std::uint8_t low = 0;
  std::uint8_t high = 0;
};

struct ExprNode {
  enum class Kind : std::uint8_t {
    kBytes,     // one byte of `low`..`high`
    kLiteral,   // the bytes of literals[a]
    kSequence,  // children one after the other; the empty text without children
    kChoice,    // one of the children; nothing matches without children
    kRepeat,    // child a, `min` to `max` times
    kRule,      // rule a
    kDfa,       // a word of dfas[a]
    kGraph,     // a way through graphs[a]
    kBegin,     // only where the text begins (regular expressions)
    kEnd,       // only where it ends
  };
  Kind kind = Kind::kSequence;
  std::uint8_t low = 0;
  std::uint8_t high = 0;
  std::uint32_t a = 0;  // index by kind; first child for sequence and choice
  std::uint32_t count = 0;
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};

// Points joined by expressions. Words are those of the ways from point 0 to point 1.
struct ExprGraph {
  struct Edge {
    std::uint32_t from = 0;
    std::uint32_t to = 0;
    ExprId label = 0;
  };
  std::uint32_t point_count = 2;
  std::vector<Edge> edges;
};

class Expressions {
 public:
  // `budget` must outlive the arena; nodes cost one unit each.
  explicit Expressions(Budget& budget) : budget_(budget) {}

  ExprId bytes(std::uint8_t low, std::uint8_t high);
  ExprId literal(std::string_view text);
  ExprId sequence(std::vector<ExprId> parts);
  ExprId choice(std::vector<ExprId> options);
  ExprId repeat(ExprId inner, std::uint32_t min, std::uint32_t max);
  ExprId optional(ExprId inner) { return repeat(inner, 0, 1); }
  ExprId rule(std::uint32_t index);
  ExprId dfa(Dfa automaton);
  ExprId graph(ExprGraph graph);
  ExprId begin();
  ExprId end();
  ExprId empty() { return sequence({}); }
  ExprId never() { return choice({}); }

  [[nodiscard]] const ExprNode& node(ExprId id) const { return nodes_[id]; }
  [[nodiscard]] std::span<const ExprId> children(const ExprNode& node) const {
    return std::span(children_).subspan(node.a, node.count);
  }
  [[nodiscard]] const std::string& text(const ExprNode& node) const { return literals_[node.a]; }
  [[nodiscard]] const Dfa& automaton(const ExprNode& node) const { return dfas_[node.a]; }
  [[nodiscard]] const ExprGraph& graph(const ExprNode& node) const { return graphs_[node.a]; }
  [[nodiscard]] Budget& budget() const { return budget_; }

 private:
  ExprId add(const ExprNode& node);
  ExprId add_list(ExprNode::Kind kind, const std::vector<ExprId>& list);

  Budget& budget_;
  std::vector<ExprNode> nodes_;
  std::vector<ExprId> children_;
  std::vector<std::string> literals_;
  std::vector<Dfa> dfas_;
  std::vector<ExprGraph> graphs_;
};

}  // namespace inferneo::text::grammar
