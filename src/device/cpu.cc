#include "device/cpu.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/str.h"
#include "device/processors.h"
#include "device/team.h"

namespace inferneo::device {
namespace {

// Why pinned at all: the scheduler moves an unpinned worker onto the caller's processor when
// another process wants the worker's, and then both stand still in turn; with one of two cores
// busy, decode of the 1.1B shape was 10 % faster pinned. The caller stays free to go where there is
// room. Why only a full team: a smaller one (threads below the cores) would be tied to the first
// processors, which a second instance of this program would choose as well.
bool pins(Pinning pinning, int thread_count, const Processors& processors) {
  if (pinning == Pinning::kAuto) return thread_count == processors.core_count();
  // With more threads than processors two would be tied to one while another is free.
  return pinning == Pinning::kOn && thread_count <= processors.processor_count();
}

}  // namespace

struct CpuDevice::Impl {
  Impl(const kernels::KernelTable& chosen, int thread_count, std::span<const int> processors)
      : table(chosen), team(thread_count, processors) {}

  const kernels::KernelTable& table;
  Team team;
};

Result<std::unique_ptr<CpuDevice>> CpuDevice::create(const CpuOptions& options) {
  if (options.thread_count < 0 || options.thread_count > kTeamSizeMax) {
    return Status(StatusCode::kInvalidArgument,
                  str("thread count ", options.thread_count, " is outside 0 .. ", kTeamSizeMax),
                  "use 0 for all usable processors");
  }
  const kernels::KernelTable* table = kernels::find_table(options.isa.c_str());
  if (table == nullptr) {
    std::string names;
    for (const kernels::KernelTable* supported : kernels::supported_tables()) {
      if (!names.empty()) names += ", ";
      names += supported->name;
    }
    return Status(StatusCode::kInvalidArgument,
                  str("no instruction set \"", printable(options.isa), "\" on this machine"),
                  str("this machine supports ", names));
  }
  const Processors processors = find_processors();
  const int thread_count = options.thread_count > 0
                               ? options.thread_count
                               : std::min(default_thread_count(processors), kTeamSizeMax);
  std::vector<int> places;
  if (pins(options.pinning, thread_count, processors)) places = placement_order(processors);
  return std::unique_ptr<CpuDevice>(
      new CpuDevice(std::make_unique<Impl>(*table, thread_count, places)));
}

CpuDevice::CpuDevice(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CpuDevice::~CpuDevice() = default;

const kernels::KernelTable& CpuDevice::kernels() const { return impl_->table; }

int CpuDevice::thread_count() const { return impl_->team.size(); }

void CpuDevice::parallel_for(std::int64_t item_count,
                             std::int64_t grain,
                             Body body,
                             void* context,
                             const NextRead& next) noexcept {
  impl_->team.run(item_count, grain, body, context, next);
}

std::uint64_t CpuDevice::section_count() const { return impl_->team.section_count(); }

void CpuDevice::begin_turn() { impl_->team.turns().begin(); }

void CpuDevice::end_turn() { impl_->team.turns().end(); }

}  // namespace inferneo::device
