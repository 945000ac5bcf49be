#include "text/grammar/either.h"

#include <array>
#include <utility>
#include <vector>

namespace inferneo::text::grammar {
namespace {

using request::ConstraintState;
using request::TokenConstraint;
using request::TokenMask;

// Invariant: at least one side is left, unless status() is not ok.
class EitherState final : public ConstraintState {
 public:
  EitherState(const TokenConstraint& first, const TokenConstraint& second)
      : sides_{first.start(), second.start()} {}

  TokenMask mask() override {
    if (ConstraintState* only = only_side()) return only->mask();
    const TokenMask first = sides_[0]->mask();
    const TokenMask second = sides_[1]->mask();
    mask_.assign(first.begin(), first.end());
    for (std::size_t i = 0; i < mask_.size() && i < second.size(); ++i) mask_[i] |= second[i];
    return mask_;
  }

  bool accept(TokenId id) override {
    if (ConstraintState* only = only_side()) return only->accept(id);
    for (auto& side : sides_) {
      if (request::allows(side->mask(), id) && side->accept(id)) continue;
      if (!side->status().ok()) failure_ = side->status();
      side.reset();
    }
    if (sides_[0] != nullptr || sides_[1] != nullptr) return true;
    if (failure_.ok()) failure_ = invalid_argument("a token was drawn that neither form allows");
    return false;
  }

  [[nodiscard]] bool may_end() const override {
    for (const auto& side : sides_) {
      if (side != nullptr && side->may_end()) return true;
    }
    return false;
  }
  [[nodiscard]] bool must_end() const override {
    for (const auto& side : sides_) {
      if (side != nullptr && !side->must_end()) return false;
    }
    return sides_[0] != nullptr || sides_[1] != nullptr;
  }

  std::span<const TokenId> forced() override {
    ConstraintState* only = only_side();
    return only == nullptr ? std::span<const TokenId>() : only->forced();
  }

  [[nodiscard]] const Status& status() const override {
    for (const auto& side : sides_) {
      if (side != nullptr && (side->status().ok() || is_last(side))) return side->status();
    }
    return failure_;
  }

 private:
  using Side = std::unique_ptr<ConstraintState>;

  [[nodiscard]] bool is_last(const Side& side) const {
    return sides_[0] == nullptr || sides_[1] == nullptr || &side == &sides_[1];
  }
  // Null while both are possible, or when none is.
  [[nodiscard]] ConstraintState* only_side() const {
    if (sides_[0] == nullptr) return sides_[1].get();
    return sides_[1] == nullptr ? sides_[0].get() : nullptr;
  }

  std::array<Side, 2> sides_;
  std::vector<std::uint64_t> mask_;
  Status failure_;
};

class Either final : public TokenConstraint {
 public:
  Either(std::shared_ptr<const TokenConstraint> first,
         std::shared_ptr<const TokenConstraint> second)
      : first_(std::move(first)), second_(std::move(second)) {}

  [[nodiscard]] std::unique_ptr<ConstraintState> start() const override {
    return std::make_unique<EitherState>(*first_, *second_);
  }
  [[nodiscard]] std::size_t size_bytes() const override {
    return sizeof(*this) + first_->size_bytes() + second_->size_bytes();
  }

 private:
  const std::shared_ptr<const TokenConstraint> first_;
  const std::shared_ptr<const TokenConstraint> second_;
};

}  // namespace

std::shared_ptr<const TokenConstraint> make_either(std::shared_ptr<const TokenConstraint> first,
                                                   std::shared_ptr<const TokenConstraint> second) {
  return std::make_shared<const Either>(std::move(first), std::move(second));
}

}  // namespace inferneo::text::grammar
