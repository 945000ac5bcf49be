// The tokenizer and chat template that a GGUF file carries.
// Thread: any.
#pragma once

#include "base/result.h"
#include "formats/gguf.h"
#include "text/model_text.h"

namespace inferneo::runtimes::native {

// Reads the keys tokenizer.*; the strings are borrowed from the file, which the caller puts into
// `files`. Failures: corrupt_data naming the key whose type is wrong.
Result<text::ModelText> read_gguf_text(const formats::GgufMetadata& metadata);

}  // namespace inferneo::runtimes::native
