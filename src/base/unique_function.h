// A callable that is owned and called from one place at a time; unlike std::function it accepts
// move-only captures.
// Thread: the owner's. Ownership: move-only.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace inferneo {

template <typename Signature>
class UniqueFunction;

template <typename R, typename... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  template <typename F>  // NOLINTBEGIN(bugprone-forwarding-reference-overload): constrained
  requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> &&
           std::is_invocable_r_v<R, std::decay_t<F>&, Args...>) UniqueFunction(F&& f)
      : target_(std::make_unique<Model<std::decay_t<F>>>(std::forward<F>(f))) {}
  // NOLINTEND(bugprone-forwarding-reference-overload)
  explicit operator bool() const { return target_ != nullptr; }
  R operator()(Args... args) {
    CHECK(target_ != nullptr);
    return target_->call(std::forward<Args>(args)...);
  }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual R call(Args... args) = 0;
  };
  template <typename F>
  struct Model final : Concept {
    explicit Model(F&& f) : f_(std::move(f)) {}
    explicit Model(const F& f) : f_(f) {}
    R call(Args... args) override { return f_(std::forward<Args>(args)...); }
    F f_;
  };
  std::unique_ptr<Concept> target_;
};

}  // namespace inferneo
