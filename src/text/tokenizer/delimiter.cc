#include "text/tokenizer/delimiter.h"

namespace inferneo::text {

Result<DelimiterBehavior> parse_behavior(const JsonView& entry, DelimiterBehavior fallback) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> found, entry.optional_member("behavior"));
  if (!found) return fallback;
  ASSIGN_OR_RETURN(const std::string_view name, found->string());
  if (name == "Isolated") return DelimiterBehavior::kIsolated;
  if (name == "Removed") return DelimiterBehavior::kRemoved;
  if (name == "MergedWithPrevious") return DelimiterBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return DelimiterBehavior::kMergedWithNext;
  if (name == "Contiguous") return DelimiterBehavior::kContiguous;
  return found->not_supported(
      "behavior", name, "Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous");
}

bool DelimiterJoiner::joins(bool is_delimiter) const {
  switch (behavior_) {
    case DelimiterBehavior::kIsolated:
    case DelimiterBehavior::kRemoved:
      return false;
    case DelimiterBehavior::kMergedWithPrevious:
      return is_delimiter && !last_is_delimiter_;
    case DelimiterBehavior::kMergedWithNext:
      return !is_delimiter && last_is_delimiter_;
    case DelimiterBehavior::kContiguous:
      return is_delimiter == last_is_delimiter_;
  }
  return false;
}

void DelimiterJoiner::add(std::size_t start, std::size_t end, bool is_delimiter) {
  if (behavior_ == DelimiterBehavior::kRemoved && is_delimiter) return;
  if (open_ && joins(is_delimiter)) {
    end_ = end;
  } else {
    flush();
    start_ = start;
    end_ = end;
    open_ = true;
  }
  last_is_delimiter_ = is_delimiter;
}

void DelimiterJoiner::flush() {
  if (open_ && end_ > start_) {
    sink_->piece(text_.substr(start_, end_ - start_), at_start_ && start_ == 0);
  }
  open_ = false;
}

}  // namespace inferneo::text
