// How `--help` reads, and the check of numbers that flags take.
// Thread: main.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace inferneo::app {

// Flags by their names alone, in columns that leave room for the longest of them.
void set_help_form(CLI::App& app);

// A check for an option: empty for a number in the range, else what is wrong with the text, which
// then also says what a number is expected to be ("0 to 2").
std::function<std::string(const std::string&)> number_in(double min,
                                                         double max,
                                                         std::string_view range);
// The same for whole numbers.
std::function<std::string(const std::string&)> integer_in(double min,
                                                          double max,
                                                          std::string_view range);

}  // namespace inferneo::app
