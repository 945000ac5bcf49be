#include "gateway/http/server.h"

#include "gateway/http/boost_config.h"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "base/bounded_queue.h"
#include "base/error_text.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "gateway/http/connection.h"

namespace inferneo::gateway::http {
namespace asio = boost::asio;

namespace {

using asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>,
                                         asio::io_context::executor_type>;

// Pause after a failed accept. Why: without free descriptors every accept fails at once, and the
// waiting client keeps the listener readable; retrying without a pause would spin.
constexpr std::chrono::milliseconds kAcceptPause{100};
// Connections beyond the limit that are told so (503); more than these are closed unanswered.
constexpr std::size_t kRefusingCountMax = 64;
// Deadlines are looked at this often at most; a quarter of the shortest time-out otherwise.
constexpr std::chrono::milliseconds kSweepIntervalMax{250};
constexpr std::chrono::milliseconds kSweepIntervalMin{5};

// What front threads do: a request over HTTP, or any other task (a WebSocket message).
struct FrontTask {
  std::shared_ptr<Exchange> exchange;
  UniqueFunction<void()> run;
};

// One network thread with what it owns.
struct IoThread {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  Timer sweep_timer{context};
  std::unordered_set<std::shared_ptr<Connection>> connections;
  std::thread thread;
};

Result<tcp::endpoint> resolve(const std::string& host, std::uint16_t port) {
  boost::system::error_code error;
  const std::string bare =
      host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
  auto address = asio::ip::make_address(bare.empty() ? "0.0.0.0" : bare, error);
  if (!error) return tcp::endpoint(address, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (getaddrinfo(bare.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) {
    return invalid_argument(str("the host ",
                                printable(host),
                                " is neither an address nor a name ",
                                "that resolves"))
        .with_hint("use an address of this machine, such as 127.0.0.1 or 0.0.0.0 (--host)");
  }
  tcp::endpoint endpoint;
  // Why IPv4 first: "localhost" often resolves to both, and most clients try 127.0.0.1.
  const addrinfo* chosen = found;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (at->ai_family == AF_INET) {
      chosen = at;
      break;
    }
  }
  endpoint.resize(chosen->ai_addrlen);
  std::copy_n(reinterpret_cast<const char*>(chosen->ai_addr),
              chosen->ai_addrlen,
              reinterpret_cast<char*>(endpoint.data()));
  freeaddrinfo(found);
  endpoint.port(port);
  return endpoint;
}

class HttpServer final : public Server, public ConnectionHost {
 public:
  HttpServer(const ServerOptions& options, Dispatcher& dispatcher, observe::ServerMetrics& metrics)
      : options_(options),
        dispatcher_(dispatcher),
        metrics_(metrics),
        host_policy_(options.host, options.allowed_hosts),
        body_budget_(std::make_shared<BodyBudget>(options.body_total_size_max)),
        front_queue_(options.front_queue_size) {
    for (int i = 0; i < options.io_thread_count; ++i) {
      io_.push_back(std::make_unique<IoThread>());
    }
    acceptor_ = std::make_unique<Acceptor>(io_[0]->context);
    accept_timer_ = std::make_unique<Timer>(io_[0]->context);
  }
  ~HttpServer() override;

  Status listen();
  Status inherit(const tcp::endpoint& wanted);
  void run();

  [[nodiscard]] std::uint16_t port() const override { return port_; }
  [[nodiscard]] Result<int> duplicate_listener() const override;
  void leave() override;
  bool wait_no_connections(Duration timeout) override;
  void stop_accepting() override;
  bool wait_idle(Duration timeout) override;

  [[nodiscard]] const ServerOptions& options() const override { return options_; }
  [[nodiscard]] const HostPolicy& host_policy() const override { return host_policy_; }
  Dispatcher& dispatcher() override { return dispatcher_; }
  observe::ServerMetrics& metrics() override { return metrics_; }
  [[nodiscard]] const std::shared_ptr<BodyBudget>& body_budget() const override {
    return body_budget_;
  }
  [[nodiscard]] bool is_stopping() const override { return is_stopping_.load(); }
  [[nodiscard]] bool is_leaving() const override { return is_leaving_.load(); }
  bool submit(std::shared_ptr<Exchange>& exchange) override {
    FrontTask task{.exchange = std::move(exchange), .run = {}};
    if (front_queue_.try_push(task)) return true;
    exchange = std::move(task.exchange);
    return false;
  }
  bool submit_task(UniqueFunction<void()>& run) override {
    FrontTask task{.exchange = nullptr, .run = std::move(run)};
    if (front_queue_.try_push(task)) return true;
    run = std::move(task.run);
    return false;
  }
  void resume(UniqueFunction<void()> task) override;
  void exchange_began() override;
  void exchange_ended() override;
  void closed(Connection& connection) override;

 private:
  void run_io(int index);
  void run_front(int index);
  bool run_resumed();
  void sweep(IoThread& io);
  void accept();
  // Returns when what was being accepted has become a connection. Thread: none of the network's.
  void close_listener();
  void on_accepted(const boost::system::error_code& error, Socket socket, int io_index);
  void adopt(Socket socket, std::string address, int io_index);
  // Whether one more connection of that address is within the limits; counts it in any case.
  bool count_connection(const std::string& address, std::size_t& total);
  // Runs `task` on every network thread and waits. Thread: none of them.
  template <typename Task>
  void on_each_io(const Task& task);

  const ServerOptions options_;
  Dispatcher& dispatcher_;
  observe::ServerMetrics& metrics_;
  const HostPolicy host_policy_;
  const std::shared_ptr<BodyBudget> body_budget_;
  std::uint16_t port_ = 0;
  std::chrono::milliseconds sweep_interval_{kSweepIntervalMax};

  std::vector<std::unique_ptr<IoThread>> io_;
  std::unique_ptr<Acceptor> acceptor_;  // of io_[0]
  std::unique_ptr<Timer> accept_timer_;
  std::mutex closing_mutex_;  // one close_listener() at a time
  // Of the thread of io_[0].
  bool is_accept_pending_ = false;
  std::promise<void>* listener_closed_ = nullptr;  // set while close_listener() waits
  int next_io_ = 0;
  bool was_accept_failure_logged_ = false;
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_leaving_{false};

  BoundedQueue<FrontTask> front_queue_;
  std::mutex resumed_mutex_;
  std::deque<UniqueFunction<void()>> resumed_;
  std::atomic<bool> is_front_stopping_{false};
  std::vector<std::thread> front_;

  std::mutex count_mutex_;
  std::condition_variable became_idle_;
  std::condition_variable last_connection_closed_;
  std::size_t exchange_count_ = 0;
  std::size_t connection_count_ = 0;
  std::unordered_map<std::string, std::size_t> connection_count_by_address_;
};

HttpServer::~HttpServer() {
  stop_accepting();
  on_each_io([](IoThread& io) {
    const auto connections = io.connections;  // close() erases from the original
    for (const auto& connection : connections) connection->close();
    io.sweep_timer.cancel();
  });
  is_front_stopping_ = true;
  for (std::size_t i = 0; i < front_.size(); ++i) front_queue_.try_push(FrontTask{});  // wakes
  for (std::thread& thread : front_) thread.join();
  while (front_queue_.try_pop()) {
  }
  std::exchange(resumed_, {}).clear();
  for (auto& io : io_) io->work.reset();
  for (auto& io : io_) {
    if (io->thread.joinable()) io->thread.join();
  }
}

template <typename Task>
void HttpServer::on_each_io(const Task& task) {
  for (auto& io : io_) {
    if (!io->thread.joinable()) continue;
    std::promise<void> done;
    asio::post(io->context, [&] {
      task(*io);
      done.set_value();
    });
    done.get_future().wait();
  }
}

// An inherited socket must be what the options ask for: a client that knows the address must find
// this server there.
Status HttpServer::inherit(const tcp::endpoint& wanted) {
  const int fd = options_.listener_fd;
  int is_listening = 0;
  socklen_t size = sizeof(is_listening);
  boost::system::error_code error;
  const bool is_socket = ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0;
  if (is_socket && is_listening != 0) {
    acceptor_->assign(wanted.protocol(), fd, error);
    if (!error) {
      const tcp::endpoint bound = acceptor_->local_endpoint(error);
      if (!error && bound == wanted) {
        port_ = bound.port();
        return {};
      }
      return failed_precondition(str("the inherited socket listens on ",
                                     bound.address().to_string(),
                                     ":",
                                     bound.port(),
                                     ", not on ",
                                     options_.host,
                                     ":",
                                     options_.port))
          .with_hint("start with the host and port of the process that is to be replaced");
    }
  }
  ::close(fd);
  return invalid_argument("the inherited descriptor is not a listening socket");
}

Status HttpServer::listen() {
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint, resolve(options_.host, options_.port));
  if (options_.listener_fd >= 0) return inherit(endpoint);
  const std::string name = str(options_.host, ":", options_.port);
  boost::system::error_code error;
  acceptor_->open(endpoint.protocol(), error);
  if (!error) acceptor_->set_option(Acceptor::reuse_address(true), error);
  if (!error) acceptor_->bind(endpoint, error);
  if (!error) acceptor_->listen(Acceptor::max_listen_connections, error);
  if (error == asio::error::address_in_use) {
    return failed_precondition(str("the address ", name, " is in use by another program"))
        .with_hint(
            str("choose another port with --port, or find its owner with: ss -ltnp 'sport = :",
                options_.port,
                "'"));
  }
  if (error == asio::error::access_denied) {
    return permission_denied(str("listening on ", name, " is not permitted: ", error.message()))
        .with_hint("ports below 1024 need privileges; choose another with --port");
  }
  if (error) {
    return invalid_argument(str("cannot listen on ", name, ": ", error.message()))
        .with_hint("the host must be an address of this machine (--host)");
  }
  port_ = acceptor_->local_endpoint(error).port();
  return {};
}

void HttpServer::run() {
  const auto shortest = std::min({options_.header_read_timeout,
                                  options_.body_idle_timeout,
                                  options_.keep_alive_timeout,
                                  options_.write_stall_timeout});
  sweep_interval_ = std::clamp(shortest / 4, kSweepIntervalMin, kSweepIntervalMax);
  for (int i = 0; i < options_.front_thread_count; ++i) {
    front_.emplace_back([this, i] { run_front(i); });
  }
  accept();
  for (auto& io : io_) sweep(*io);
  for (int i = 0; i < options_.io_thread_count; ++i) {
    io_[static_cast<std::size_t>(i)]->thread = std::thread([this, i] { run_io(i); });
  }
}

void HttpServer::run_io(int index) {
  set_thread_name(str("io-", index));
  try {
    io_[static_cast<std::size_t>(index)]->context.run();
  } catch (const std::exception& failure) {
    log::error("http", str("a network thread failed: ", failure.what()));
    log::flush();
    std::terminate();
  }
}

void HttpServer::run_front(int index) {
  set_thread_name(str("front-", index));
  // The wait ends early when something comes, the end included.
  constexpr std::chrono::milliseconds kStopCheckInterval{1000};
  while (!is_front_stopping_) {
    if (run_resumed()) continue;
    std::optional<FrontTask> task = front_queue_.wait_pop_for(kStopCheckInterval);
    if (!task || (task->exchange == nullptr && !task->run)) continue;
    const std::string request_id =
        task->exchange == nullptr ? "" : task->exchange->request().head.request_id;
    try {
      if (task->run) {
        task->run();
      } else {
        dispatcher_.dispatch(std::move(task->exchange));
      }
    } catch (const std::exception& failure) {
      // The exchange was dropped, which answers 500.
      log::error("http", str("request ", request_id, " failed: ", failure.what()));
    }
  }
}

void HttpServer::resume(UniqueFunction<void()> task) {
  {
    const std::scoped_lock lock(resumed_mutex_);
    resumed_.push_back(std::move(task));
  }
  // Wakes a thread. Where the queue is full they are awake, and look here before the next request.
  front_queue_.try_push(FrontTask{});
}

bool HttpServer::run_resumed() {
  UniqueFunction<void()> task;
  {
    const std::scoped_lock lock(resumed_mutex_);
    if (resumed_.empty()) return false;
    task = std::move(resumed_.front());
    resumed_.pop_front();
  }
  try {
    task();
  } catch (const std::exception& failure) {
    // Its exchange was dropped, which answers 500.
    log::error("http", str("a request that had waited failed: ", failure.what()));
  }
  return true;
}

void HttpServer::sweep(IoThread& io) {
  const TimePoint at = std::chrono::steady_clock::now();
  for (auto next = io.connections.begin(); next != io.connections.end();) {
    const std::shared_ptr<Connection> connection = *next++;  // it may leave the set
    connection->check_deadlines(at);
  }
  io.sweep_timer.expires_after(sweep_interval_);
  io.sweep_timer.async_wait([this, &io](const boost::system::error_code& error) {
    if (!error) sweep(io);
  });
}

void HttpServer::accept() {
  const int io_index = next_io_;
  next_io_ = (next_io_ + 1) % options_.io_thread_count;
  is_accept_pending_ = true;
  acceptor_->async_accept(io_[static_cast<std::size_t>(io_index)]->context,
                          [this, io_index](const boost::system::error_code& error, Socket socket) {
                            on_accepted(error, std::move(socket), io_index);
                          });
}

void HttpServer::on_accepted(const boost::system::error_code& error, Socket socket, int io_index) {
  is_accept_pending_ = false;
  if (!error) {
    was_accept_failure_logged_ = false;
    boost::system::error_code ignored;
    const std::string address = socket.remote_endpoint(ignored).address().to_string();
    socket.set_option(tcp::no_delay(true), ignored);
    // Finds peers that vanished without a word while a long stream has nothing to send.
    socket.set_option(Socket::keep_alive(true), ignored);
    adopt(std::move(socket), address, io_index);
  }
  // Why only now: a client that was accepted just before the listener closed is ours to answer.
  if (!acceptor_->is_open()) {
    if (listener_closed_ != nullptr) std::exchange(listener_closed_, nullptr)->set_value();
    return;
  }
  if (error) {
    if (!was_accept_failure_logged_) {
      was_accept_failure_logged_ = true;
      log::warning(
          "http",
          str("cannot accept connections: ", error.message(), "; trying again until it works"));
    }
    accept_timer_->expires_after(kAcceptPause);
    accept_timer_->async_wait([this](const boost::system::error_code& cancelled) {
      if (!cancelled && acceptor_->is_open()) accept();
    });
    return;
  }
  accept();
}

void HttpServer::close_listener() {
  if (!io_[0]->thread.joinable()) return;
  const std::scoped_lock lock(closing_mutex_);
  std::promise<void> closed;
  asio::post(io_[0]->context, [this, &closed] {
    boost::system::error_code ignored;
    acceptor_->close(ignored);
    accept_timer_->cancel();
    if (!is_accept_pending_) return closed.set_value();
    listener_closed_ = &closed;
  });
  closed.get_future().wait();
}

bool HttpServer::count_connection(const std::string& address, std::size_t& total) {
  const std::scoped_lock lock(count_mutex_);
  total = ++connection_count_;
  const std::size_t of_address = ++connection_count_by_address_[address];
  metrics_.connections.set(static_cast<double>(connection_count_));
  return total <= options_.connection_count_max &&
         of_address <= options_.connection_per_address_count_max;
}

void HttpServer::adopt(Socket socket, std::string address, int io_index) {
  std::size_t total = 0;
  const bool is_within_limits = count_connection(address, total);
  IoThread& io = *io_[static_cast<std::size_t>(io_index)];
  auto connection =
      std::make_shared<Connection>(std::move(socket), std::move(address), io_index, *this);
  asio::post(io.context, [this, &io, connection, is_within_limits, total] {
    io.connections.insert(connection);
    if (is_within_limits && !is_stopping_) {
      connection->start();
    } else if (total <= options_.connection_count_max + kRefusingCountMax) {
      connection->start_refusing(is_stopping_ ? "the server is shutting down"
                                              : "too many connections");
    } else {
      connection->close();
    }
  });
}

void HttpServer::closed(Connection& connection) {
  io_[static_cast<std::size_t>(connection.io_index())]->connections.erase(
      connection.shared_from_this());
  const std::scoped_lock lock(count_mutex_);
  --connection_count_;
  metrics_.connections.set(static_cast<double>(connection_count_));
  const auto found = connection_count_by_address_.find(connection.remote_address());
  if (--found->second == 0) connection_count_by_address_.erase(found);
  if (connection_count_ == 0) last_connection_closed_.notify_all();
}

void HttpServer::exchange_began() {
  const std::scoped_lock lock(count_mutex_);
  ++exchange_count_;
  metrics_.requests_in_flight.set(static_cast<double>(exchange_count_));
}

void HttpServer::exchange_ended() {
  const std::scoped_lock lock(count_mutex_);
  --exchange_count_;
  metrics_.requests_in_flight.set(static_cast<double>(exchange_count_));
  if (exchange_count_ == 0) became_idle_.notify_all();
}

void HttpServer::leave() {
  is_leaving_ = true;
  close_listener();
}

bool HttpServer::wait_no_connections(Duration timeout) {
  std::unique_lock lock(count_mutex_);
  return last_connection_closed_.wait_for(lock, timeout, [this] { return connection_count_ == 0; });
}

Result<int> HttpServer::duplicate_listener() const {
  const int copy = ::fcntl(acceptor_->native_handle(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) {
    return resource_exhausted(str("cannot duplicate the listening socket: ", error_text(errno)));
  }
  return copy;
}

void HttpServer::stop_accepting() {
  is_leaving_ = true;
  is_stopping_ = true;
  close_listener();
  on_each_io([](IoThread& io) {
    const auto connections = io.connections;
    for (const auto& connection : connections) connection->stop();
  });
}

bool HttpServer::wait_idle(Duration timeout) {
  std::unique_lock lock(count_mutex_);
  return became_idle_.wait_for(lock, timeout, [this] { return exchange_count_ == 0; });
}

Status check_options(const ServerOptions& options) {
  if (options.io_thread_count < 1 || options.io_thread_count > 64) {
    return invalid_argument(str("io_thread_count is ", options.io_thread_count, ", not 1 to 64"));
  }
  if (options.front_thread_count < 1 || options.front_thread_count > 256) {
    return invalid_argument(
        str("front_thread_count is ", options.front_thread_count, ", not 1 to 256"));
  }
  if (options.front_queue_size < 1 || options.front_queue_size > 1'000'000) {
    return invalid_argument(
        str("front_queue_size is ", options.front_queue_size, ", not 1 to 1000000"));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options,
                                              Dispatcher& dispatcher,
                                              observe::ServerMetrics& metrics) {
  RETURN_IF_ERROR(check_options(options));
  auto server = std::make_unique<HttpServer>(options, dispatcher, metrics);
  RETURN_IF_ERROR(server->listen());
  server->run();
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace inferneo::gateway::http
