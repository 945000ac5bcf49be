#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/utf8.h"

namespace inferneo::log {
namespace {

// Write-once at start, see the header.
bool json_lines = false;

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("inferneo",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%d %H:%M:%S.%e %-7l %v");
    return made;
  }();
  return *instance;
}

// JSON string body: control characters escaped, invalid UTF-8 replaced.
std::string escaped(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : utf8::sanitize(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out;
}

void write(spdlog::level::level_enum level, std::string_view component, std::string_view message) {
  if (!logger().should_log(level)) return;
  if (json_lines) {
    logger().log(
        level, "\"component\":\"{}\",\"message\":\"{}\"", escaped(component), escaped(message));
  } else {
    logger().log(level, "{}: {}", escaped(component), escaped(message));
  }
}

}  // namespace

void configure(Level level, Format format) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug,
                                                          spdlog::level::info,
                                                          spdlog::level::warn,
                                                          spdlog::level::err,
                                                          spdlog::level::off};
  logger().set_level(kLevels[static_cast<int>(level)]);
  logger().flush_on(spdlog::level::info);
  json_lines = format == Format::kJson || (format == Format::kAuto && ::isatty(2) == 0);
  if (json_lines) {
    logger().set_pattern("{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",\"level\":\"%l\",%v}");
  }
}

void debug(std::string_view component, std::string_view message) {
  write(spdlog::level::debug, component, message);
}
void info(std::string_view component, std::string_view message) {
  write(spdlog::level::info, component, message);
}
void warning(std::string_view component, std::string_view message) {
  write(spdlog::level::warn, component, message);
}
void error(std::string_view component, std::string_view message) {
  write(spdlog::level::err, component, message);
}
void flush() { logger().flush(); }

}  // namespace inferneo::log
