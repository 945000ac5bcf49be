#include "planned_request.h"

#include <random>
#include <sstream>

namespace inferneo::bench {
namespace {

void append_ids(std::string& json, std::uint64_t seed, std::int32_t count, std::int32_t vocab) {
  // The first ids of a vocabulary are special tokens and bytes.
  constexpr std::int32_t kFirstWord = 300;
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::int32_t> id(kFirstWord, vocab - 1);
  for (std::int32_t i = 0; i < count; ++i) {
    if (json.back() != '[') json += ',';
    json += std::to_string(id(random));
  }
}

}  // namespace

bool read_plan(std::istream& in, std::vector<PlannedRequest>& plan, std::string& error) {
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    PlannedRequest request;
    words >> request.client >> request.at_s >> request.shared_tokens >> request.own_tokens >>
        request.output_tokens;
    const bool positive = request.client >= 0 && request.at_s >= 0 && request.shared_tokens >= 0 &&
                          request.own_tokens >= 0 && request.output_tokens > 0;
    if (!words || !positive || request.shared_tokens + request.own_tokens == 0) {
      error = "line " + std::to_string(plan.size() + 1) +
              " is not CLIENT AT_SECONDS SHARED OWN OUTPUT: " + line;
      return false;
    }
    plan.push_back(request);
  }
  if (plan.empty()) error = "no requests on stdin";
  return !plan.empty();
}

std::string request_bytes(const PlannedRequest& request,
                          std::size_t index,
                          std::uint64_t seed,
                          const std::string& host,
                          const std::string& model,
                          std::int32_t vocab_size) {
  std::string body = "{\"prompt\":[";
  const std::uint64_t base = seed << 32U;
  append_ids(body, base, request.shared_tokens, vocab_size);
  append_ids(body, base + index + 1, request.own_tokens, vocab_size);
  body += "],\"max_tokens\":" + std::to_string(request.output_tokens) +
          ",\"temperature\":0,\"ignore_eos\":true,\"stream\":true,"
          "\"stream_options\":{\"include_usage\":true},\"model\":\"" +
          model + "\"}";
  return "POST /v1/completions HTTP/1.1\r\nHost: " + host +
         "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace inferneo::bench
