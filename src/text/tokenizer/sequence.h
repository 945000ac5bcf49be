// Entries of type "Sequence", which list entries of their own kind, sequences among them.
// Internal to the tokenizer's readers. Thread: one.
#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

// Bound: published tokenizers nest once.
inline constexpr int kSequenceDepthMax = 4;

// Calls add(part, depth + 1) for each part that `entry`, `depth` sequences deep, lists under
// `member`. Failures: corrupt_data with the place; what `add` returns.
template <typename Add>
Status add_parts(const JsonView& entry, std::string_view member, int depth, const Add& add) {
  if (depth >= kSequenceDepthMax) return entry.corrupt("is nested too deeply");
  ASSIGN_OR_RETURN(const JsonView list, entry.member(member));
  ASSIGN_OR_RETURN(const simdjson::dom::array parts, list.array());
  std::size_t index = 0;
  for (const simdjson::dom::element part : parts) {
    RETURN_IF_ERROR(add(list.item(index++, part), depth + 1));
  }
  return ok_status();
}

}  // namespace inferneo::text
