// What goes to the service manager, against a socket of our own; and what its variables mean.
#include "server/supervisor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace tenfold::server {
namespace {

class FakeManager {
 public:
  FakeManager() : name_("tenfold_supervisor_test_" + std::to_string(getpid())) {
    fd_ = socket(AF_UNIX, SOCK_DGRAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0);
  }
  ~FakeManager() { close(fd_); }
  std::string socket_name() const { return "@" + name_; }
  std::string Next() {  // "" when nothing has come
    char bytes[512];
    const ssize_t n = recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    return n <= 0 ? "" : std::string(bytes, static_cast<size_t>(n));
  }

 private:
  std::string name_;
  int fd_;
};

TEST(Supervisor, SaysWhatTheManagerUnderstands) {
  FakeManager manager;
  Supervisor supervisor({manager.socket_name(), 0});
  ASSERT_TRUE(supervisor.present());
  supervisor.Ready();
  supervisor.Status("loading: 3 %");
  supervisor.Status("loading: 3 %");  // nothing new
  supervisor.Status("two\nREADY=0");
  supervisor.Alive();
  supervisor.Stopping();
  for (const char* expected :
       {"READY=1", "STATUS=loading: 3 %", "STATUS=two READY=0", "WATCHDOG=1", "STOPPING=1", ""}) {
    EXPECT_EQ(manager.Next(), expected);
  }
}

TEST(Supervisor, WithoutAManagerNothingHappens) {
  Supervisor none({});
  EXPECT_FALSE(none.present());
  none.Ready();
  Supervisor gone({"@tenfold_nobody_listens_here", 1000});
  EXPECT_FALSE(gone.present());
  EXPECT_EQ(gone.watchdog_us(), 0);
  gone.Alive();
}

TEST(Supervisor, TheVariables) {
  EXPECT_EQ(ParseSupervisor("", "1000", "", 7).socket, "");
  EXPECT_EQ(ParseSupervisor("/run/notify", "", "", 7).socket, "/run/notify");
  EXPECT_EQ(ParseSupervisor("@", "", "", 7).socket, "");
  EXPECT_EQ(ParseSupervisor("vsock:2:1", "", "", 7).socket, "");
  EXPECT_EQ(ParseSupervisor("/" + std::string(200, 'x'), "", "", 7).socket, "");
  EXPECT_EQ(ParseSupervisor("@n", "30000000", "", 7).watchdog_us, 30'000'000);
  EXPECT_EQ(ParseSupervisor("@n", "30000000", "7", 7).watchdog_us, 30'000'000);
  EXPECT_EQ(ParseSupervisor("@n", "30000000", "8", 7).watchdog_us, 0) << "the watchdog of another process";
  EXPECT_EQ(ParseSupervisor("@n", "soon", "", 7).watchdog_us, 0);
}

}  // namespace
}  // namespace tenfold::server
