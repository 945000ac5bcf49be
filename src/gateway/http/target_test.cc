#include "gateway/http/target.h"

#include <gtest/gtest.h>

namespace inferneo::gateway::http {
namespace {

TEST(SplitTarget, decodes_the_path_once_and_keeps_the_query) {
  std::string path;
  std::string query;
  EXPECT_FALSE(split_target("/a%2Fb%2525%E4?x=%20&y?", path, query));
  EXPECT_EQ(path, "/a/b%25\xE4");
  EXPECT_EQ(query, "x=%20&y?");
}

TEST(SplitTarget, bad_encoding_is_refused) {
  std::string path;
  std::string query;
  for (const char* target :
       {"/%", "/%a", "/%g0", "/%0g", "/%00", "/%0a", "/%1F", "/%7f", "/a%?b"}) {
    EXPECT_EQ(split_target(target, path, query).status, 400) << target;
  }
}

TEST(HostPolicy, bound_address_and_allowed_names_pass) {
  const HostPolicy policy("192.168.1.5", {"Models.Example.org", "p.example:99", "fe80::1"});
  for (const char* host : {"192.168.1.5",
                           "192.168.1.5:80",
                           "localhost",
                           "127.0.0.1:1",
                           "[::1]",
                           "models.example.org:5",
                           "p.example:99",
                           "[fe80::1]:9"}) {
    EXPECT_FALSE(policy.check(host)) << host;
  }
  for (const char* host : {"192.168.1.6", "p.example", "p.example:98", "example.org"}) {
    EXPECT_EQ(policy.check(host).status, 421) << host;
  }
}

TEST(HostPolicy, wildcard_address_accepts_literals_only) {
  for (const char* bound : {"0.0.0.0", "::"}) {
    const HostPolicy policy(bound, {});
    EXPECT_FALSE(policy.check("10.0.0.1"));
    EXPECT_FALSE(policy.check("[2001:db8::1]:80"));
    EXPECT_EQ(policy.check("10.0.0.1.nip.example").status, 421);
    EXPECT_EQ(policy.check("somewhere").status, 421);
  }
}

TEST(HostPolicy, star_accepts_every_host_but_no_garbage) {
  const HostPolicy policy("127.0.0.1", {"*"});
  EXPECT_FALSE(policy.check("any.example"));
  EXPECT_EQ(policy.check("any example").status, 400);
  EXPECT_EQ(policy.check("a/b").status, 400);
}

}  // namespace
}  // namespace inferneo::gateway::http
