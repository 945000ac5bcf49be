#include "text/template/evaluation.h"

#include <algorithm>
#include <utility>

#include "base/str.h"

namespace inferneo::text::jinja {

Evaluation::~Evaluation() {
  for (const auto& space : namespaces_) space->attributes = Dict();
}

Status Evaluation::step(std::size_t count) {
  if (count > steps_left_) {
    return resource_exhausted(
        str("the chat template takes more than ", limits::kTemplateStepCountMax, " steps"));
  }
  steps_left_ -= count;
  return ok_status();
}

Status Evaluation::work(std::size_t size) {
  if (size > work_left_) {
    return resource_exhausted(str(
        "the chat template handles more than ", limits::kTemplateWorkSizeMax, " bytes of text"));
  }
  work_left_ -= size;
  return ok_status();
}

Result<Object> Evaluation::make_sequence(SequenceKind kind, std::vector<Object> items) {
  RETURN_IF_ERROR(work(sizeof(Sequence) + items.size() * sizeof(Object)));
  auto sequence = std::make_shared<Sequence>();
  sequence->kind = kind;
  for (const Object& item : items) sequence->depth = std::max(sequence->depth, 1 + item.depth());
  if (sequence->depth > limits::kTemplateValueDepthMax) {
    return resource_exhausted(
        str("lists are nested more than ", limits::kTemplateValueDepthMax, " levels deep"));
  }
  sequence->items = std::move(items);
  return Object(std::move(sequence));
}

Result<Object> Evaluation::make_dict(std::shared_ptr<Dict> dict) {
  RETURN_IF_ERROR(work(sizeof(Dict) + dict->entries().size() * sizeof(Dict::Entry)));
  if (dict->depth() > limits::kTemplateValueDepthMax) {
    return resource_exhausted(
        str("dicts are nested more than ", limits::kTemplateValueDepthMax, " levels deep"));
  }
  return Object(std::shared_ptr<const Dict>(std::move(dict)));
}

Object Evaluation::make_namespace() {
  namespaces_.push_back(std::make_shared<Namespace>());
  return Object(namespaces_.back());
}

void TextBuilder::append(std::string_view text) {
  if (!status_.ok()) return;
  status_ = evaluation_->work(text.size());
  if (status_.ok()) bytes_ += text;
}

void TextBuilder::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

Result<std::string> TextBuilder::finish_bytes() && {
  if (!status_.ok()) return std::move(status_);
  return std::move(bytes_);
}

Result<Object> TextBuilder::finish(bool safe) && {
  if (!status_.ok()) return std::move(status_);
  return Object::text(std::move(bytes_), safe);
}

Result<std::vector<std::optional<Object>>> bind_arguments(
    std::string_view function,
    const Arguments& arguments,
    std::initializer_list<std::string_view> parameters,
    std::size_t required_count) {
  std::vector<std::optional<Object>> bound(parameters.size());
  if (arguments.positional.size() > bound.size()) {
    return invalid_argument(str(function,
                                "() takes at most ",
                                bound.size(),
                                " arguments, ",
                                arguments.positional.size(),
                                " given"));
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) bound[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end()) {
      return invalid_argument(str(function, "() got an unexpected keyword argument '", name, "'"));
    }
    auto& slot = bound[static_cast<std::size_t>(found - parameters.begin())];
    if (slot) {
      return invalid_argument(str(function, "() got multiple values for argument '", name, "'"));
    }
    slot = value;
  }
  for (std::size_t i = 0; i < required_count; ++i) {
    if (!bound[i]) {
      return invalid_argument(
          str(function, "() missing required argument '", parameters.begin()[i], "'"));
    }
  }
  return bound;
}

Status undefined_error(const Object& undefined) {
  return invalid_argument(*undefined.as_undefined()->why);
}

}  // namespace inferneo::text::jinja
