// The filters of templates ("value | name(arguments)").
// Thread: one evaluation.
#pragma once

#include <span>
#include <string_view>

#include "text/template/evaluation.h"
#include "text/template/object.h"

namespace inferneo::text::jinja {

struct Filter {
  std::string_view name;
  Result<Object> (*apply)(Evaluation&, const Object& input, const Arguments&);
};

// Null when there is none of that name.
const Filter* find_filter(std::string_view name);

// Parts of the table, each in its file.
std::span<const Filter> text_filters();
std::span<const Filter> number_filters();
std::span<const Filter> sequence_filters();
std::span<const Filter> selection_filters();

// item.a.b.0 for the path "a.b.0", as filters with an `attribute` argument look it up.
Result<Object> attribute_path(Evaluation& evaluation, Object item, const Object& path);

}  // namespace inferneo::text::jinja
