#include "text/template/functions.h"

#include <array>
#include <ctime>
#include <utility>

#include "base/limits.h"
#include "base/str.h"
#include "text/template/evaluation.h"
#include "text/template/methods.h"
#include "text/template/operators.h"
#include "text/template/printing.h"

namespace inferneo::text::jinja {
namespace {

using FunctionBody = Result<Object> (*)(Evaluation&, const Arguments&);

class Function final : public Callable {
 public:
  Function(std::string_view name, FunctionBody body) : name_(name), body_(body) {}

  std::string describe() const override { return str("<function ", name_, ">"); }

  Result<Object> call(Evaluation& evaluation, const Arguments& arguments) const override {
    if (!body_) {
      return unsupported(str("the function ", name_, "() is not supported in chat templates"));
    }
    return body_(evaluation, arguments);
  }

 private:
  std::string_view name_;
  FunctionBody body_;
};

Result<Object> range(Evaluation& evaluation, const Arguments& arguments) {
  if (!arguments.named.empty()) return invalid_argument("range() takes no keyword arguments");
  ASSIGN_OR_RETURN(const auto bound,
                   bind_arguments("range", arguments, {"start", "stop", "step"}, 1));
  auto sequence = std::make_shared<Sequence>();
  sequence->kind = SequenceKind::kRange;
  ASSIGN_OR_RETURN(sequence->start, integer_argument("range", *bound[0]));
  if (bound[1]) {
    ASSIGN_OR_RETURN(sequence->stop, integer_argument("range", *bound[1]));
  } else {
    sequence->stop = std::exchange(sequence->start, 0);
  }
  if (bound[2]) {
    ASSIGN_OR_RETURN(sequence->step, integer_argument("range", *bound[2]));
  }
  if (sequence->step == 0) return invalid_argument("range() arg 3 must not be zero");
  const bool rises = sequence->step > 0;
  std::int64_t at = sequence->start;
  std::int64_t count = 0;
  while (rises ? at < sequence->stop : at > sequence->stop) {
    if (++count > limits::kTemplateRangeCountMax) {
      return resource_exhausted(str("Range too big. The sandbox blocks ranges larger than ",
                                    limits::kTemplateRangeCountMax,
                                    "."));
    }
    sequence->items.push_back(Object(at));
    if (__builtin_add_overflow(at, sequence->step, &at)) break;
  }
  RETURN_IF_ERROR(evaluation.work(sequence->items.size() * sizeof(Object)));
  return Object(std::move(sequence));
}

// dict(pairs or dict, name=value ...).
Result<std::shared_ptr<Dict>> make_dict(Evaluation& evaluation, const Arguments& arguments) {
  auto dict = std::make_shared<Dict>();
  const auto insert = [&](const Object& key, const Object& value) -> Status {
    ASSIGN_OR_RETURN(const std::string canonical, Dict::canonical_key(key));
    RETURN_IF_ERROR(evaluation.work(canonical.size() + sizeof(Dict::Entry)));
    dict->insert(key, canonical, value);
    return ok_status();
  };
  if (arguments.positional.size() > 1) {
    return invalid_argument("dict expected at most 1 argument");
  }
  if (!arguments.positional.empty()) {
    const Object& source = arguments.positional[0];
    if (const Dict* other = source.as_dict()) {
      for (const Dict::Entry& entry : other->entries()) {
        RETURN_IF_ERROR(insert(entry.key, entry.value));
      }
    } else {
      ASSIGN_OR_RETURN(const std::vector<Object> pairs, iterate(evaluation, source));
      for (const Object& pair : pairs) {
        ASSIGN_OR_RETURN(const std::vector<Object> parts, iterate(evaluation, pair));
        if (parts.size() != 2) {
          return invalid_argument("dictionary update sequence element must have length 2");
        }
        RETURN_IF_ERROR(insert(parts[0], parts[1]));
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    RETURN_IF_ERROR(insert(Object::text(name), value));
  }
  return dict;
}

Result<Object> dict(Evaluation& evaluation, const Arguments& arguments) {
  ASSIGN_OR_RETURN(std::shared_ptr<Dict> made, make_dict(evaluation, arguments));
  return evaluation.make_dict(std::move(made));
}

Result<Object> make_namespace(Evaluation& evaluation, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::shared_ptr<Dict> made, make_dict(evaluation, arguments));
  RETURN_IF_ERROR(evaluation.work(sizeof(Namespace)));
  Object object = evaluation.make_namespace();
  object.as_namespace()->attributes = *made;
  return object;
}

Result<Object> raise_exception(Evaluation& evaluation, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("raise_exception", arguments, {"message"}, 1));
  ASSIGN_OR_RETURN(const Object message, to_text(evaluation, *bound[0]));
  return invalid_argument(message.as_text()->bytes);
}

Result<Object> strftime_now(Evaluation& evaluation, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const auto bound, bind_arguments("strftime_now", arguments, {"format"}, 1));
  ASSIGN_OR_RETURN(const Text* format, text_argument("strftime_now", *bound[0]));
  constexpr std::size_t kFormatSizeMax = 256;
  if (format->bytes.size() > kFormatSizeMax) {
    return invalid_argument("the format of strftime_now() is too long");
  }
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  // A conversion writes at most about 30 bytes for two of the format; %c and the like fit as well.
  char text[kFormatSizeMax * 64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const std::size_t size = std::strftime(text, sizeof(text), format->bytes.c_str(), &local);
#pragma GCC diagnostic pop
  RETURN_IF_ERROR(evaluation.work(size));
  return Object::text(std::string(text, size));
}

constexpr std::array<std::pair<std::string_view, FunctionBody>, 8> kFunctions = {{
    {"range", range},
    {"dict", dict},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
    {"lipsum", nullptr},
    {"cycler", nullptr},
    {"joiner", nullptr},
}};

}  // namespace

std::optional<Object> find_function(std::string_view name) {
  for (const auto& [known, body] : kFunctions) {
    if (known != name) continue;
    return Object(std::shared_ptr<const Callable>(std::make_shared<Function>(known, body)));
  }
  return std::nullopt;
}

}  // namespace inferneo::text::jinja
