#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "app/json_lines.h"
#include "app/machine.h"
#include "app/progress_line.h"
#include "app/verb.h"
#include "base/str.h"
#include "base/version.h"
#include "kernels/kernel_table.h"

namespace inferneo::app {
namespace {

struct DoctorFlags {
  bool json = false;
};

std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const kernels::KernelTable* table : kernels::supported_tables())
    names.emplace_back(table->name);
  return names;
}

// What stands in the way of speed or of serving, and what to do about it.
std::vector<std::string> advice(const Machine& machine, const std::vector<std::string>& tables) {
  std::vector<std::string> lines;
  if (tables.size() == 1) {
    lines.emplace_back(
        "Only the scalar reference kernels run here: correct, but slow. A processor with AVX2 (or "
        "newer) or NEON is needed for speed.");
  }
  if (machine.cpus_usable < machine.cpus_present) {
    lines.push_back(str("This process may use ",
                        machine.cpus_usable,
                        " of ",
                        machine.cpus_present,
                        " processors (affinity or container quota). Raise the quota for speed."));
  }
  constexpr std::uint64_t kLittleMemory = std::uint64_t{1} << 30;
  if (machine.memory_available_bytes < kLittleMemory) {
    lines.push_back(str("Only ",
                        byte_text(machine.memory_available_bytes),
                        " of memory are free; models larger than that will read from disk."));
  }
  if (machine.transparent_huge_pages == "never") {
    lines.emplace_back(
        "Transparent huge pages are off, which costs some memory bandwidth. As root: echo madvise "
        "> /sys/kernel/mm/transparent_hugepage/enabled");
  }
  // Why 4200: 4096 connections (connection_count_max) and the program's own files.
  if (machine.open_files_max < 4200) {
    lines.push_back(str("At most ",
                        machine.open_files_max,
                        " files may be open; for 4096 connections run `ulimit -n 8192` first."));
  }
  return lines;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

void print_text(const Machine& machine,
                const std::vector<std::string>& tables,
                const std::vector<std::string>& lines) {
  std::string out = str("inferneo ", version(), " (", compiler(), ", ", build_type(), ")\n");
  out +=
      str("processor          ", machine.cpu_model.empty() ? "unknown" : machine.cpu_model, "\n");
  out += str("processors         ", machine.cpus_usable, " usable of ", machine.cpus_present, "\n");
  out += str("features           ", joined(machine.cpu_flags), "\n");
  out += str("instruction sets   ", joined(tables), " (the last is used; --isa NAME chooses)\n");
  out += str("memory             ",
             byte_text(machine.memory_available_bytes),
             " free of ",
             byte_text(machine.memory_bytes),
             "\n");
  if (machine.cgroup_memory_bytes_max.has_value()) {
    out += str("container memory   ",
               byte_text(machine.cgroup_memory_bytes_used.value_or(0)),
               " used of ",
               byte_text(*machine.cgroup_memory_bytes_max),
               "\n");
  }
  out += str("huge pages         ",
             machine.transparent_huge_pages.empty() ? "unknown" : machine.transparent_huge_pages,
             "\n");
  out += str("open files         ", machine.open_files_max, "\n");
  out += lines.empty() ? "Nothing is missing.\n" : "What could be better:\n";
  for (const std::string& line : lines) out += str("  - ", line, "\n");
  std::fputs(out.c_str(), stdout);
}

Json to_json(const Machine& machine,
             const std::vector<std::string>& tables,
             const std::vector<std::string>& lines) {
  Json json;
  json["version"] = version();
  json["compiler"] = compiler();
  json["build_type"] = build_type();
  json["cpu_model"] = machine.cpu_model;
  json["cpu_features"] = machine.cpu_flags;
  json["cpus_present"] = machine.cpus_present;
  json["cpus_usable"] = machine.cpus_usable;
  json["instruction_sets"] = tables;
  json["memory_bytes"] = machine.memory_bytes;
  json["memory_available_bytes"] = machine.memory_available_bytes;
  if (machine.cgroup_memory_bytes_max.has_value()) {
    json["container_memory_bytes_max"] = *machine.cgroup_memory_bytes_max;
    json["container_memory_bytes_used"] = machine.cgroup_memory_bytes_used.value_or(0);
  }
  json["transparent_huge_pages"] = machine.transparent_huge_pages;
  json["open_files_max"] = machine.open_files_max;
  json["advice"] = lines;
  return json;
}

Result<int> doctor(const DoctorFlags& flags) {
  const Machine machine = inspect_machine();
  const std::vector<std::string> tables = table_names();
  const std::vector<std::string> lines = advice(machine, tables);
  if (flags.json) {
    std::printf("%s\n", to_json(machine, tables, lines).dump(2).c_str());
  } else {
    print_text(machine, tables, lines);
  }
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<DoctorFlags>();
  command.add_flag("--json", flags->json, "Print the same as one JSON object");
  return [flags](const Config&) { return doctor(*flags); };
}

}  // namespace

extern const Verb kDoctorVerb;
const Verb kDoctorVerb = {.name = "doctor",
                          .rank = 8,
                          .summary = "Say what this machine offers and what is missing",
                          .examples = "  inferneo doctor\n  inferneo doctor --json",
                          .config = ConfigUse::kNone,
                          .declare = declare};

}  // namespace inferneo::app
