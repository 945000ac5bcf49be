#include "text/grammar/expression.h"

#include <utility>

namespace inferneo::text::grammar {

using Kind = ExprNode::Kind;

// An exhausted budget shows when the automaton is built: nodes themselves stay small.
ExprId Expressions::add(const ExprNode& node) {
  (void)budget_.spend(1);
  nodes_.push_back(node);
  return static_cast<ExprId>(nodes_.size() - 1);
}

ExprId Expressions::add_list(Kind kind, const std::vector<ExprId>& list) {
  ExprNode node;
  node.kind = kind;
  node.a = static_cast<std::uint32_t>(children_.size());
  node.count = static_cast<std::uint32_t>(list.size());
  children_.insert(children_.end(), list.begin(), list.end());
  (void)budget_.spend(list.size());
  return add(node);
}

ExprId Expressions::bytes(std::uint8_t low, std::uint8_t high) {
  ExprNode node;
  node.kind = Kind::kBytes;
  node.low = low;
  node.high = high;
  return add(node);
}

ExprId Expressions::literal(std::string_view text) {
  if (text.empty()) return empty();
  ExprNode node;
  node.kind = Kind::kLiteral;
  node.a = static_cast<std::uint32_t>(literals_.size());
  literals_.emplace_back(text);
  (void)budget_.spend(text.size());
  return add(node);
}

ExprId Expressions::sequence(std::vector<ExprId> parts) {
  if (parts.size() == 1) return parts.front();
  return add_list(Kind::kSequence, parts);
}

ExprId Expressions::choice(std::vector<ExprId> options) {
  if (options.size() == 1) return options.front();
  return add_list(Kind::kChoice, options);
}

ExprId Expressions::repeat(ExprId inner, std::uint32_t min, std::uint32_t max) {
  if (min == 1 && max == 1) return inner;
  ExprNode node;
  node.kind = Kind::kRepeat;
  node.a = inner;
  node.min = min;
  node.max = max;
  return add(node);
}

ExprId Expressions::rule(std::uint32_t index) {
  ExprNode node;
  node.kind = Kind::kRule;
  node.a = index;
  return add(node);
}

ExprId Expressions::dfa(Dfa automaton) {
  ExprNode node;
  node.kind = Kind::kDfa;
  node.a = static_cast<std::uint32_t>(dfas_.size());
  dfas_.push_back(std::move(automaton));
  return add(node);
}

ExprId Expressions::graph(ExprGraph graph) {
  ExprNode node;
  node.kind = Kind::kGraph;
  node.a = static_cast<std::uint32_t>(graphs_.size());
  (void)budget_.spend(graph.edges.size() + graph.point_count);
  graphs_.push_back(std::move(graph));
  return add(node);
}

ExprId Expressions::begin() {
  ExprNode node;
  node.kind = Kind::kBegin;
  return add(node);
}

ExprId Expressions::end() {
  ExprNode node;
  node.kind = Kind::kEnd;
  return add(node);
}

}  // namespace inferneo::text::grammar
