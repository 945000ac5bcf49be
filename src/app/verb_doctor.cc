#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
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

// With one decimal.
std::string fixed(double value) {
  const long tenths = std::lround(value * 10);
  return str(tenths / 10, ".", tenths % 10);
}

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
  const device::Processors& processors = machine.processors;
  if (processors.processor_count() < machine.cpus_present) {
    lines.push_back(str("This process may use ",
                        processors.processor_count(),
                        " of ",
                        machine.cpus_present,
                        " processors (affinity mask or cpuset). Allow it more for speed."));
  }
  if (processors.quota > 0 && processors.quota < processors.core_count()) {
    lines.push_back(str("The container grants the time of ",
                        fixed(processors.quota),
                        " processors (cpu.max), fewer than the ",
                        processors.core_count(),
                        " cores it shows. Raise the quota for speed."));
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

std::vector<int> allowed(const device::Processors& processors) {
  std::vector<int> numbers = device::placement_order(processors);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string processor_lines(const Machine& machine) {
  const device::Processors& processors = machine.processors;
  const int siblings = processors.processor_count() - processors.core_count();
  return str("processors         ",
             processors.processor_count(),
             " allowed (",
             range_text(allowed(processors)),
             ") of ",
             machine.cpus_present,
             "\ncores              ",
             processors.core_count(),
             siblings > 0 ? str(", ", siblings, " of the processors are SMT siblings of another")
                          : ", no SMT siblings",
             "\nprocessor quota    ",
             processors.quota > 0 ? str(fixed(processors.quota), " processors") : "none",
             "\ncompute threads    ",
             device::default_thread_count(processors),
             " (--threads N chooses)\n");
}

void print_text(const Machine& machine,
                const std::vector<std::string>& tables,
                const std::vector<std::string>& lines) {
  std::string out = str("inferneo ", version(), " (", compiler(), ", ", build_type(), ")\n");
  out +=
      str("processor          ", machine.cpu_model.empty() ? "unknown" : machine.cpu_model, "\n");
  out += processor_lines(machine);
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
  if (machine.huge_page_count > 0) {
    out += str("reserved pages     ",
               machine.huge_page_free_count,
               " free of ",
               machine.huge_page_count,
               ", ",
               byte_text(machine.huge_page_bytes),
               " each\n");
  }
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
  json["cpus_allowed"] = range_text(allowed(machine.processors));
  json["cpus_usable"] = machine.processors.processor_count();
  json["cores_usable"] = machine.processors.core_count();
  if (machine.processors.quota > 0) json["cpu_quota"] = machine.processors.quota;
  json["threads_default"] = device::default_thread_count(machine.processors);
  json["instruction_sets"] = tables;
  json["memory_bytes"] = machine.memory_bytes;
  json["memory_available_bytes"] = machine.memory_available_bytes;
  if (machine.cgroup_memory_bytes_max.has_value()) {
    json["container_memory_bytes_max"] = *machine.cgroup_memory_bytes_max;
    json["container_memory_bytes_used"] = machine.cgroup_memory_bytes_used.value_or(0);
  }
  json["transparent_huge_pages"] = machine.transparent_huge_pages;
  json["huge_page_bytes"] = machine.huge_page_bytes;
  json["huge_page_count"] = machine.huge_page_count;
  json["huge_page_free_count"] = machine.huge_page_free_count;
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
