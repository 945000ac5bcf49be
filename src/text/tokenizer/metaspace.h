// The options of Metaspace, which is a pre-tokenizer and a decoder.
// Thread: any (values).
#pragma once

#include <string>

#include "base/result.h"
#include "text/tokenizer/json_view.h"

namespace inferneo::text {

enum class PrependScheme { kAlways, kFirst, kNever };

struct MetaspaceOptions {
  std::string replacement;  // one character
  PrependScheme prepend = PrependScheme::kAlways;
  bool split = true;

  static Result<MetaspaceOptions> parse(const JsonView& entry);
};

}  // namespace inferneo::text
