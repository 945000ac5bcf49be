#include <CLI/CLI.hpp>
#include <fstream>
#include <memory>
#include <utility>

#include "app/interrupt.h"
#include "app/model_host.h"
#include "app/model_spec.h"
#include "app/progress_line.h"
#include "app/terminal.h"
#include "app/verb.h"
#include "base/str.h"
#include "gateway/endpoints/batch/result_file.h"
#include "gateway/endpoints/batch/runner.h"
#include "gateway/endpoints/endpoint.h"

namespace inferneo::app {
namespace {

namespace batch = gateway::endpoints::batch;
namespace endpoints = gateway::endpoints;

struct RunBatchFlags {
  std::string input;
  std::string output;
  std::vector<std::string> models;
};

struct Counts {
  std::uint64_t total = 0;
  std::uint64_t before = 0;  // had a result from an earlier run
  std::uint64_t done = 0;    // with those
  std::uint64_t failed = 0;  // the same
};

Result<std::uint64_t> count_lines(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return not_found(str("cannot read ", path));
  std::uint64_t count = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.find_first_not_of(" \t\r") != std::string::npos) ++count;
  }
  // A directory can be opened, but not read.
  if (in.bad()) return invalid_argument(str(path, " is no file of lines"));
  return count;
}

std::string summary(const Counts& counts, const std::string& output) {
  std::string text = str(counts.done, " of ", counts.total, " requests answered in ", output);
  if (counts.before > 0) text += str(" (", counts.before, " by an earlier run)");
  if (counts.failed > 0) text += str("; ", counts.failed, " failed, their lines say why");
  return text + "\n";
}

Result<int> run(const RunBatchFlags& flags, ModelHost& host) {
  Counts counts;
  ASSIGN_OR_RETURN(counts.total, count_lines(flags.input));
  ASSIGN_OR_RETURN(batch::ResultFile output, batch::ResultFile::open(flags.output));
  counts.before = output.line_count();
  counts.done = counts.before;
  counts.failed = output.failed_count();
  observe::ServerMetrics metrics;
  endpoints::Services services;
  services.manager = &host.manager();
  services.server_metrics = &metrics;
  services.clock = &host.clock();
  const std::unique_ptr<gateway::http::Dispatcher> dispatcher =
      endpoints::make_dispatcher(services);

  Interrupt interrupt;
  ProgressLine line("answering", ProgressUnit::kCount);
  std::ifstream in(flags.input, std::ios::binary);
  batch::RunnerOptions options;
  options.dispatcher = dispatcher.get();
  options.skip = &output.done();
  const auto emit = [&](const batch::LineResult& result) -> Status {
    RETURN_IF_ERROR(output.append(batch::write_result(result)));
    ++counts.done;
    if (!result.ok()) ++counts.failed;
    line.update(counts.done, counts.total);
    return ok_status();
  };
  ASSIGN_OR_RETURN(const bool complete,
                   batch::run_batch(
                       options,
                       [&](std::string& next) { return static_cast<bool>(std::getline(in, next)); },
                       emit,
                       [&] { return interrupt.requested().load(); }));
  line.clear();
  RETURN_IF_ERROR(output.sync());
  std::fputs(summary(counts, flags.output).c_str(), stderr);
  if (!complete) std::fputs("stopped; the same command goes on from here\n", stderr);
  return complete && counts.failed == 0 ? kExitOk : kExitFailure;
}

Result<int> run_batch(const RunBatchFlags& flags, const Config& config) {
  const std::vector<std::string>& models = flags.models.empty() ? config.models : flags.models;
  if (models.empty()) {
    return invalid_argument("no model to run the batch with")
        .with_hint("name one: `inferneo run-batch in.jsonl out.jsonl /models/llama`");
  }
  // What is wrong with the files shows before a model is loaded.
  RETURN_IF_ERROR(count_lines(flags.input).status());
  RETURN_IF_ERROR(batch::ResultFile::open(flags.output).status());
  ASSIGN_OR_RETURN(const std::vector<ModelSpec> specs, parse_model_specs(models));
  quiet_log(config, false);
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelHost> host, ModelHost::create(config));
  for (const ModelSpec& spec : specs) RETURN_IF_ERROR(host->add(spec));
  return run(flags, *host);
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<RunBatchFlags>();
  command.add_option("IN", flags->input, "Requests, one a line")->required();
  command.add_option("OUT", flags->output, "Results; what is there already is not run again")
      ->required();
  command.add_option("MODEL", flags->models, "Models to load: a path, or NAME=PATH");
  return [flags](const Config& config) { return run_batch(*flags, config); };
}

}  // namespace

extern const Verb kRunBatchVerb;
const Verb kRunBatchVerb = {
    .name = "run-batch",
    .rank = 4,
    .summary = "Answer a file of requests, one a line, without a server",
    .examples =
        "  inferneo run-batch in.jsonl out.jsonl models/starter\n"
        "\n"
        "A line of IN: {\"custom_id\": \"1\", \"method\": \"POST\", \"url\": "
        "\"/v1/chat/completions\",\n"
        "\"body\": {...}}, as OpenAI's Batch API has it. Lines of OUT come as they are answered.\n"
        "Interrupted, the same command goes on with the requests that have no result. A line that\n"
        "cannot be read is answered under the custom_id line-N. The exit status is 1 when a "
        "request\n"
        "failed, in this run or an earlier one, or the run was stopped.",
    .config = ConfigUse::kEngine,
    .declare = declare};

}  // namespace inferneo::app
