// Everything of the process below the gateway, built from the configuration: clock, device,
// runtimes and the manager of the models. The verbs that run models share it.
// Thread: main builds and destroys it. Ownership: owns all it offers.
#pragma once

#include <memory>
#include <vector>

#include "app/model_spec.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/result.h"
#include "device/cpu.h"
#include "manager/manager.h"
#include "runtime/runtime.h"

namespace inferneo::app {

// What a server gives to the manager besides the configuration. May be null; outlives the host.
struct HostServices {
  observe::ServerMetrics* metrics = nullptr;
  manager::EventHub* events = nullptr;
  manager::Catalog* catalog = nullptr;
};

class ModelHost {
 public:
  // Failures: invalid_argument for an instruction set that this machine does not have.
  static Result<std::unique_ptr<ModelHost>> create(const Config& config,
                                                   const HostServices& services = {});
  ModelHost(const ModelHost&) = delete;
  ModelHost& operator=(const ModelHost&) = delete;
  ~ModelHost();

  // Loads a model and starts its engine; shows progress on a terminal. Failures: as
  // ModelManager::add.
  Status add(const ModelSpec& spec);
  // Registers a model, to be loaded at its first request. Failures: as
  // ModelManager::register_version.
  Status register_model(const ModelSpec& spec);

  [[nodiscard]] manager::ModelManager& manager() { return *manager_; }
  [[nodiscard]] const runtime::Runtime& native_runtime() const { return *native_; }
  [[nodiscard]] device::CpuDevice& device() { return *device_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }

 private:
  explicit ModelHost(const Config& config);
  [[nodiscard]] manager::ManagerOptions manager_options(const HostServices& services) const;
  [[nodiscard]] Result<manager::ModelOptions> options_of(const ModelSpec& spec) const;

  Config config_;
  SteadyClock clock_;
  // In order of use: each is destroyed before what it borrows.
  std::unique_ptr<device::CpuDevice> device_;
  std::unique_ptr<runtime::Runtime> native_;
  std::unique_ptr<manager::ModelManager> manager_;
};

// What a load needs to know of the configuration.
runtime::LoadOptions load_options(const Config& config);

}  // namespace inferneo::app
