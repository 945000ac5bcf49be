// The process log: one JSON object per line on stderr (or plain text on a terminal). Text from
// outside is escaped. Prompts and keys are never logged.
// The level is the only global here and is set once at start.
// Thread: any; kernels and the decode step never log.
#pragma once

#include <string_view>

namespace inferneo::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };
enum class Format { kAuto, kText, kJson };

void configure(Level level, Format format);

void debug(std::string_view component, std::string_view message);
void info(std::string_view component, std::string_view message);
void warning(std::string_view component, std::string_view message);
void error(std::string_view component, std::string_view message);

void flush();

}  // namespace inferneo::log
