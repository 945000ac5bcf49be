// links: inferneo_text
// A reply in any format: never a crash, and the parts do not depend on how the text was cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/json.h"
#include "text/reasoning/reasoning_format.h"
#include "text/tools/tool_format.h"

using inferneo::text::ReplyOptions;
using inferneo::text::ReplyParser;
using inferneo::text::ReplyPart;

namespace {

// The parts as one text in which neighbours of the same kind are joined.
std::string joined(const std::vector<ReplyPart>& parts) {
  std::string out;
  const ReplyPart* before = nullptr;
  for (const ReplyPart& part : parts) {
    const bool goes_on = before != nullptr && before->kind == part.kind &&
                         before->call == part.call && part.kind != ReplyPart::Kind::kCall;
    if (!goes_on) {
      out += '\x01';
      out += static_cast<char>('0' + static_cast<int>(part.kind));
      out += std::to_string(part.call) + ':' + part.id + ':';
    }
    out += part.text;
    before = &part;
  }
  return out;
}

std::string run(const ReplyOptions& options, std::string_view text, std::size_t piece_size) {
  ReplyParser parser(options);
  std::vector<ReplyPart> parts;
  for (std::size_t at = 0; at < text.size(); at += piece_size) {
    std::vector<ReplyPart> more;
    parser.push(text.substr(at, piece_size), more);
    parts.insert(parts.end(), more.begin(), more.end());
  }
  parser.finish(parts);
  return joined(parts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto tools = std::make_shared<const inferneo::text::Value>(
      inferneo::text::parse_json(
          R"([{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"type":"string"}}}}}])")
          .value());
  if (size < 2) return 0;
  const auto formats = inferneo::text::tool_formats();
  const auto reasoning = inferneo::text::reasoning_formats();
  ReplyOptions options;
  options.tools = tools;
  options.tool_format = formats[data[0] % formats.size()];
  const std::size_t choice = data[1] % (reasoning.size() * 2 + 1);
  if (choice < reasoning.size() * 2) {
    options.reasoning_format = reasoning[choice / 2];
    options.begins_in_reasoning = choice % 2 == 1;
  }
  options.one_call = (data[0] & 128U) != 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = run(options, text, text.size() + 1);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}}) {
    if (run(options, text, piece) != whole) std::abort();
  }
  return 0;
}
