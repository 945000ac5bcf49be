// A name with two versions, its requests, and a process that may end at any moment, for rollouts
// under a virtual clock: VersionHost, store and webhooks in one, drawn from one seed. What must
// always hold is checked with every call; what is broken is said in `violation`.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "base/manual_clock.h"
#include "manager/rollout_controller.h"
#include "observe/outcomes.h"
#include "routing/routing_table.h"

namespace inferneo::manager {

// How a version behaves when it gets requests.
struct Behaviour {
  double error_rate = 0;
  double not_finite_rate = 0;
  double first_token_scale = 1;
  double inter_token_scale = 1;
  bool hangs = false;  // never answers
  bool golden_passes = true;
  bool golden_answers = true;
  Duration load_time = std::chrono::milliseconds(400);
  bool loads = true;
};

struct Traffic {
  double requests_per_second = 20;
  int subject_count = 2000;
  double error_rate = 0;  // of every version: faults of the surroundings
  // Slow spells of the machine (both versions) and bursts of one version, with their factors.
  double machine_slow_share = 0;
  double machine_slow_factor = 4;
  double burst_share = 0;
  double burst_factor = 3;
  double load_slope = 0;   // slower by this for a version that has everything
  double cold_factor = 1;  // first token of a conversation's first request on a version
};

// Thrown out of a call: the process ends there.
struct ProcessEnds {};

class RolloutWorld final : public VersionHost, public RolloutStore, public RolloutHooks {
 public:
  explicit RolloutWorld(std::uint64_t seed);

  // VersionHost
  Result<std::string> live_version(std::string_view name) override;
  Result<LoadPreview> preview(std::string_view name, std::string_view version) override;
  Status hold(std::string_view name, std::string_view version) override;
  Version state(std::string_view name, std::string_view version) override;
  void release(std::string_view name, std::string_view version) override;
  Status publish_split(const routing::Split& split) override;
  Status set_live(std::string_view name, std::string_view version) override;
  observe::Outcomes outcomes(std::string_view name, std::string_view version) override;
  Status start_golden(std::string_view name,
                      std::string_view version,
                      std::span<const GoldenPrompt> prompts) override;
  std::optional<GoldenOutcome> golden_outcome(std::string_view name,
                                              std::string_view version) override;
  // RolloutStore
  Status save(const RolloutRecord& record) override;
  Result<std::vector<RolloutRecord>> load() override;
  // RolloutHooks
  std::uint64_t post(const std::string& url, std::string body) override;
  std::optional<Status> outcome(std::uint64_t call) override;

  [[nodiscard]] RolloutEnvironment environment();
  // Time passes: loads end, requests begin and end.
  void advance(Duration by);
  // Everything in memory is gone; what was recorded stays.
  void restart();
  // Makes the live version ready, as a server does at its start.
  void start_live();

  [[nodiscard]] bool chance(double probability);
  [[nodiscard]] double uniform(double low, double high);
  [[nodiscard]] int pick(int low, int high);

  static constexpr std::string_view kName = "team/model";
  ManualClock clock;
  std::map<std::string, Behaviour> behaviours;  // by version; what is not there does not exist
  Traffic traffic;
  std::string live = "1";  // recorded
  std::map<std::int64_t, std::string> records;
  // Faults, drawn for each call.
  double save_failure_rate = 0;
  double set_live_failure_rate = 0;
  double end_rate = 0;  // of the process, before or after the effect of a call
  double hook_failure_rate = 0;
  Duration hook_time = std::chrono::milliseconds(100);

  struct Loaded {
    bool held = false;
    State state = State::kAbsent;
    TimePoint ready_at{};
    std::unique_ptr<observe::OutcomeRecorder> recorder;
    std::uint64_t request_count = 0;
    std::vector<bool> known;  // subjects whose prefix it has cached
    bool bursts = false;
    bool died = false;  // of itself: requests fail until the next tick sees it
  };
  std::map<std::string, Loaded> loaded;
  routing::RoutingTable table;
  std::string violation;
  std::uint64_t trace = 0;                      // hash of everything that was asked of the world
  std::vector<std::int32_t> shares;             // published since the process started
  std::vector<std::string> hooks;               // bodies posted
  std::map<std::string, std::uint64_t> routed;  // requests since reset, by version
  std::map<int, std::string> served_by;         // last version of each subject
  std::uint64_t moved_back = 0;  // subjects that went from the candidate to the stable version
  bool is_over = false;          // the rollout is terminal: versions may be let go

 private:
  struct Ending {
    TimePoint at{};
    enum class Kind : std::uint8_t { kFirstToken, kPace, kEnd } kind = Kind::kEnd;
    std::string version;
    double seconds = 0;
    bool failed = false;
    bool not_finite = false;
    bool had_token = true;
    std::uint64_t epoch = 0;
    bool operator>(const Ending& other) const { return at > other.at; }
  };

  void begin_request();
  void finish(const Ending& ending);
  void note(std::string_view what, std::string_view detail);
  void maybe_end();
  void expect(bool holds, const std::string& what);
  double log_normal(double median, double sigma);

  std::mt19937_64 random_;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> endings_;
  double due_ = 0;  // requests
  bool machine_slow_ = false;
  std::uint64_t epoch_ = 0;  // of the process
  std::map<std::string, TimePoint> golden_;
  std::map<std::uint64_t, std::pair<TimePoint, bool>> calls_;
};

}  // namespace inferneo::manager
