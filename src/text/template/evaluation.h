// The account of one render: what it may still spend, and the objects that it must take apart at
// the end. Everything that grows with a template's input is paid for here.
// Thread: one owner. Ownership: keeps namespaces alive until the end of the render.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

class Evaluation {
 public:
  Evaluation() = default;
  // Takes namespaces apart, which may hold themselves.
  ~Evaluation();
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  // Failures of all: resource_exhausted.
  Status step(std::size_t count = 1);
  // Bytes written or compared.
  Status work(std::size_t size);
  // Before writing what could be very large.
  [[nodiscard]] bool can_work(std::size_t size) const { return size <= work_left_; }

  Result<Object> make_sequence(SequenceKind kind, std::vector<Object> items);
  Result<Object> make_dict(std::shared_ptr<Dict> dict);
  Object make_namespace();

  // Evaluations in progress inside each other.
  std::int32_t frame_count = 0;

 private:
  std::size_t steps_left_ = limits::kTemplateStepCountMax;
  std::size_t work_left_ = limits::kTemplateWorkSizeMax;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

// Collects text that a template makes. Beyond the budget it stops collecting and finish() fails.
class TextBuilder {
 public:
  explicit TextBuilder(Evaluation& evaluation) : evaluation_(&evaluation) {}

  void append(std::string_view text);
  void append(char c) { append(std::string_view(&c, 1)); }
  [[nodiscard]] bool ok() const { return status_.ok(); }
  [[nodiscard]] Evaluation& evaluation() const { return *evaluation_; }
  // Lets a failure inside a longer piece of writing surface in finish().
  void fail(Status status);

  Result<std::string> finish_bytes() &&;
  Result<Object> finish(bool safe = false) &&;

 private:
  Evaluation* evaluation_;
  std::string bytes_;
  Status status_;
};

// Gives arguments to parameters as Python does: by position, then by name. Entries of parameters
// that were not given are empty. Failures: invalid_argument for missing, unknown or double ones.
Result<std::vector<std::optional<Object>>> bind_arguments(
    std::string_view function,
    const Arguments& arguments,
    std::initializer_list<std::string_view> parameters,
    std::size_t required_count);

Status undefined_error(const Object& undefined);

}  // namespace inferneo::text::jinja
