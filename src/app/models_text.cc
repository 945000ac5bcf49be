#include "app/models_text.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <ctime>

#include "app/progress_line.h"
#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::app {
namespace {

// The member as text; "-" when it is null or missing.
std::string cell(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name) || object[name].is_null()) return "-";
  const Json& value = object[name];
  if (value.is_string()) return printable(value.get<std::string>(), 200);
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  return value.dump();
}

double number_of(const Json& object, const char* name) {
  return object.is_object() && object.contains(name) && object[name].is_number()
             ? object[name].get<double>()
             : 0.0;
}

const Json& member(const Json& object, const char* name) {
  static const Json kNone;
  return object.is_object() && object.contains(name) ? object[name] : kNone;
}

std::string id_of(const Json& model) {
  return cell(model, "model_id") + ":" + cell(model, "version");
}

std::string memory_of(const Json& model) {
  const double bytes = number_of(model, "memory_usage_gb") * 1e9;
  return bytes <= 0 ? "-" : byte_text(static_cast<std::uint64_t>(bytes));
}

std::string time_text(double unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm utc{};
  char text[32];
  ::gmtime_r(&seconds, &utc);
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &utc);
  return text;
}

std::string state_of(const Json& model) {
  std::string text = cell(model, "state");
  if (text == "loading") text += str(" ", std::lround(number_of(model, "loaded_share") * 100), "%");
  return text;
}

// "live, pinned", or "-".
std::string marks_of(const Json& model) {
  std::string marks;
  for (const char* name : {"live", "pinned"}) {
    if (cell(model, name) == "yes") marks += str(marks.empty() ? "" : ", ", name);
  }
  return marks.empty() ? "-" : marks;
}

void append_members(std::string& out, const Json& object, const std::string& indent) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object() && !value.empty()) {
      out += str(indent, name, "\n");
      append_members(out, value, indent + "  ");
    } else if (value.is_array() && !value.empty() && value[0].is_object()) {
      out += str(indent, name, "\n");
      for (const Json& item : value) out += str(indent, "  ", dump(item), "\n");
    } else {
      const std::string text = value.is_string() ? value.get<std::string>() : dump(value);
      out += str(indent, name, ": ", printable(text, 300), "\n");
    }
  }
}

}  // namespace

void declare_target(CLI::App& command, ManagementTarget& target, std::string& config_file) {
  command
      .add_option("--address",
                  target.address,
                  "The server to ask (default: the one that holds the catalog, or listens where "
                  "`serve` would)")
      ->type_name("URL")
      ->envname("INFERNEO_ADDRESS");
  command
      .add_option("--catalog",
                  target.catalog,
                  "The catalog (default: as configured, else in inferneo/ of the state directory)")
      ->type_name("FILE");
  command
      .add_option("--config", config_file, "YAML file of configuration keys (also INFERNEO_CONFIG)")
      ->type_name("FILE");
}

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += line + "\n";
  }
  return out;
}

std::string message_text(const Json& answer) {
  const Json& message = member(answer, "message");
  if (message.is_string()) return message.get<std::string>() + "\n";
  std::string out;
  append_members(out, member(answer, "data"), "");
  return out;
}

std::string list_text(const Json& answer) {
  const Json& models = member(member(answer, "data"), "models");
  if (models.empty()) {
    return "No models are registered. `inferneo models register NAME=PATH` registers one.\n";
  }
  std::vector<std::vector<std::string>> rows = {
      {"MODEL", "STATE", "MARKS", "FORMAT", "MEMORY", "PATH"}};
  for (const Json& model : models) {
    rows.push_back({id_of(model),
                    state_of(model),
                    marks_of(model),
                    cell(model, "format"),
                    memory_of(model),
                    cell(model, "path")});
  }
  std::sort(rows.begin() + 1, rows.end());
  return table_text(rows);
}

std::string running_text(const Json& answer) {
  std::vector<std::vector<std::string>> rows = {
      {"MODEL", "STATE", "MARKS", "MEMORY", "RUNNING", "WAITING", "REQUESTS", "IDLE"}};
  for (const Json& model : member(member(answer, "data"), "models")) {
    const std::string state = cell(model, "state");
    if (state == "registered" || state == "unloaded" || state == "failed") continue;
    const Json& idle = member(model, "idle_seconds");
    rows.push_back({id_of(model),
                    state_of(model),
                    marks_of(model),
                    memory_of(model),
                    cell(model, "lease_count"),
                    cell(model, "waiting_count"),
                    cell(model, "request_count"),
                    idle.is_number() ? str(std::lround(idle.get<double>()), " s") : "-"});
  }
  if (rows.size() == 1) return "No model is in memory.\n";
  std::sort(rows.begin() + 1, rows.end());
  return table_text(rows);
}

std::string show_text(const Json& answer) {
  std::string out;
  append_members(out, member(member(answer, "data"), "model_allocation"), "");
  return out;
}

std::string alias_text(const Json& answer) {
  if (member(answer, "message").is_string()) return message_text(answer);
  const Json& aliases = member(member(answer, "data"), "aliases");
  if (aliases.empty()) return "There are no aliases.\n";
  std::vector<std::vector<std::string>> rows = {{"ALIAS", "MODEL"}};
  for (const Json& alias : aliases) {
    const std::string version = cell(alias, "version");
    rows.push_back(
        {cell(alias, "alias"),
         version == "-" ? cell(alias, "model_id") : str(cell(alias, "model_id"), ":", version)});
  }
  return table_text(rows);
}

std::string audit_text(const Json& answer) {
  const Json& records = member(member(answer, "data"), "records");
  if (records.empty()) return "Nothing was changed yet.\n";
  std::vector<std::vector<std::string>> rows = {
      {"TIME (UTC)", "WHO", "ACTION", "SUBJECT", "RESULT", "MESSAGE"}};
  for (const Json& record : records) {
    const std::string address = cell(record, "address");
    rows.push_back({time_text(number_of(record, "at")),
                    address.empty() || address == "-"
                        ? cell(record, "principal")
                        : str(cell(record, "principal"), "@", address),
                    cell(record, "action"),
                    cell(record, "subject"),
                    cell(record, "result"),
                    cell(record, "message")});
  }
  return table_text(rows);
}

std::string rollouts_text(const Json& answer) {
  const Json& data = member(answer, "data");
  if (!data.contains("rollouts")) {
    std::string out;
    append_members(out, data, "");
    return out;
  }
  if (data["rollouts"].empty()) return "There were no rollouts.\n";
  std::vector<std::vector<std::string>> rows = {
      {"ID", "MODEL", "FROM", "TO", "PHASE", "SHARE", "REASON"}};
  for (const Json& rollout : data["rollouts"]) {
    rows.push_back({cell(rollout, "id"),
                    cell(rollout, "name"),
                    cell(rollout, "stable"),
                    cell(rollout, "candidate"),
                    cell(rollout, "phase"),
                    cell(rollout, "candidate_percent") + " %",
                    cell(rollout, "reason")});
  }
  return table_text(rows);
}

}  // namespace inferneo::app
