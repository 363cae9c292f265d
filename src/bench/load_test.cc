#include "bench/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "bench/load_report.h"
#include "bench/prompts.h"
#include "bench/scripted_server_test.h"

namespace tenfold::bench {
namespace {

using testing::HasSubstr;
using testing::Not;
using Peer = ScriptedServer::Peer;

constexpr char kStreamHead[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
constexpr char kToken[] = "data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n";
constexpr char kUsage[] = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":88,\"completion_tokens\":3}}\n\n";
constexpr char kDone[] = "data: [DONE]\n\n";

void AnswerWell(const Peer& peer) {
  peer.Send(kStreamHead);
  peer.SleepMs(30);
  peer.Send(kToken);
  peer.SleepMs(20);
  peer.Send(kToken);
  peer.Send(kUsage);
  peer.Send(kDone);
}
void AnswerWithoutUsage(const Peer& peer) { peer.Send(std::string(kStreamHead) + kToken + kToken + kDone); }
void AnswerNothing(const Peer& peer) { peer.Send(std::string(kStreamHead) + kDone); }
void Hang(const Peer& peer) { peer.HangUntilStopped(); }
void HangInTheMiddle(const Peer& peer) {
  peer.Send(std::string(kStreamHead) + kToken);
  peer.HangUntilStopped();
}
void CloseAtOnce(const Peer&) {}
void CloseEarly(const Peer& peer) { peer.Send(std::string(kStreamHead) + kToken + kToken); }
void CloseInsideAChunk(const Peer& peer) {
  peer.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + std::string(kToken));
}
void Garbage(const Peer& peer) { peer.Send(std::string(kStreamHead) + "data: {\"choi\xff\n\n"); }
void Html(const Peer& peer) {
  peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n<html>\n<body>\n</html>");
  peer.HangUntilStopped();
}
void NotEvenHttp(const Peer& peer) { peer.Send("SSH-2.0-OpenSSH_9.2\r\n"); }
void ErrorEvent(const Peer& peer) {
  peer.Send(std::string(kStreamHead) + kToken + "data: {\"error\":{\"message\":\"preempted\"}}\n\n");
}
void Status429(const Peer& peer) {
  peer.Send("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 35\r\n\r\n{\"error\":{\"message\":\"slow down!!\"}}");
}
void Status503(const Peer& peer) { peer.Send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"); }

LoadOptions OptionsFor(const std::string& url, size_t users) {
  LoadOptions options;
  options.url = url;
  options.prompts = BuiltInPrompts(users);
  options.max_tokens = 3;
  options.timeout_us = 400'000;
  return options;
}

// What the only user of a server with one script gets.
UserResult One(const ScriptedServer::Script& script) {
  ScriptedServer server({script});
  const auto result = RunLoad(OptionsFor(server.url(), 1));
  EXPECT_TRUE(result.ok());
  return result->users.at(0);
}

TEST(RunLoad, MeasuresAGoodAnswer) {
  const UserResult user = One(AnswerWell);
  EXPECT_EQ(user.outcome, Outcome::kOk);
  EXPECT_EQ(user.tokens, 3);
  EXPECT_EQ(user.prompt_tokens, 88);
  EXPECT_FALSE(user.tokens_estimated);
  ASSERT_EQ(user.gaps_us.size(), 1u);
  EXPECT_GE(user.first_token_us, 29'000);
  EXPECT_GE(user.gaps_us[0], 15'000);
  EXPECT_GE(user.response_us, user.first_token_us + user.gaps_us[0]);
  EXPECT_LT(user.response_us, 400'000);
}

TEST(RunLoad, CountsEventsWhereUsageIsMissing) {
  const UserResult user = One(AnswerWithoutUsage);
  EXPECT_EQ(user.outcome, Outcome::kOk);
  EXPECT_EQ(user.tokens, 2);
  EXPECT_TRUE(user.tokens_estimated);
}

TEST(RunLoad, NamesEachWayToFail) {
  const std::vector<std::pair<ScriptedServer::Script, Outcome>> cases = {
      {AnswerNothing, Outcome::kEmpty},     {Hang, Outcome::kTimeout},
      {HangInTheMiddle, Outcome::kTimeout}, {CloseAtOnce, Outcome::kClosedEarly},
      {CloseEarly, Outcome::kClosedEarly},  {CloseInsideAChunk, Outcome::kClosedEarly},
      {Garbage, Outcome::kNotAStream},      {Html, Outcome::kNotAStream},
      {NotEvenHttp, Outcome::kClosedEarly}, {ErrorEvent, Outcome::kErrorEvent},
      {Status429, Outcome::kHttpStatus},    {Status503, Outcome::kHttpStatus},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const UserResult user = One(cases[i].first);
    EXPECT_EQ(user.outcome, cases[i].second) << "case " << i << ": " << NameOf(user.outcome) << ", " << user.detail;
    EXPECT_EQ(user.tokens, 0) << "case " << i;
  }
  EXPECT_EQ(One(Status429).detail, "slow down!!");
  EXPECT_EQ(One(Status429).http_status, 429);
}

TEST(RunLoad, NoServer) {
  std::string url;
  {
    const ScriptedServer gone({Hang});
    url = gone.url();
  }
  const auto result = RunLoad(OptionsFor(url, 2));
  ASSERT_TRUE(result.ok());
  for (const UserResult& user : result->users) EXPECT_EQ(user.outcome, Outcome::kNoConnection) << user.detail;
}

TEST(RunLoad, BadUrl) {
  for (const char* url : {"127.0.0.1:80", "ftp://x", "http://", ""}) {
    const auto result = RunLoad(OptionsFor(url, 1));
    ASSERT_FALSE(result.ok()) << url;
    EXPECT_THAT(result.error().message, HasSubstr("http://"));
  }
}

TEST(RunLoad, UsersAskAtOnceAndDifferently) {
  // Every answer takes 50 ms: ten of them one after the other would take half a second.
  ScriptedServer server({AnswerWell});
  LoadOptions options = OptionsFor(server.url() + "/v1/", 10);
  options.api_key = "sesame";
  options.ignore_eos = true;
  const auto result = RunLoad(options);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->model, "scripted");
  EXPECT_LT(result->wall_us, 350'000);
  std::vector<std::string> requests = server.requests();
  ASSERT_EQ(requests.size(), 10u);
  for (const std::string& request : requests) {
    EXPECT_THAT(request, HasSubstr("POST /v1/chat/completions HTTP/1.1\r\n"));
    EXPECT_THAT(request, HasSubstr("Authorization: Bearer sesame\r\n"));
    EXPECT_THAT(request, HasSubstr("\"model\":\"scripted\""));
    EXPECT_THAT(request, HasSubstr("\"ignore_eos\":true"));
    EXPECT_THAT(request, HasSubstr("\"include_usage\":true"));
    EXPECT_THAT(request, HasSubstr("\"max_tokens\":3"));
  }
  std::sort(requests.begin(), requests.end());
  EXPECT_EQ(std::unique(requests.begin(), requests.end()), requests.end());
}

TEST(RequestBody, StandardFieldsOnly) {
  LoadOptions options;
  EXPECT_THAT(RequestBody(options, "m", "p"), Not(HasSubstr("ignore_eos")));
  EXPECT_THAT(RequestBody(options, "", "p"), Not(HasSubstr("model")));
}

// The promise: failures are never counted as fast.
TEST(Summarise, FailuresCountWithTheWholeTimeout) {
  ScriptedServer server({AnswerWell, Hang, CloseAtOnce, Status429, Garbage, AnswerWell});
  const LoadOptions options = OptionsFor(server.url(), 6);
  const auto result = RunLoad(options);
  ASSERT_TRUE(result.ok());
  const LoadSummary summary = Summarise(*result, options.timeout_us);
  EXPECT_EQ(summary.users, 6);
  EXPECT_EQ(summary.answered, 2);
  EXPECT_EQ(summary.tokens, 6);
  EXPECT_GE(summary.response_s.mean, 4 * 0.4 / 6);
  EXPECT_DOUBLE_EQ(summary.response_s.median, 0.4);
  EXPECT_DOUBLE_EQ(summary.first_token_s.median, 0.4);
  EXPECT_DOUBLE_EQ(summary.tokens_per_s.min, 0);
  const std::map<std::string, int64_t> kinds(summary.failures.begin(), summary.failures.end());
  EXPECT_EQ(kinds.size(), 4u);
  const std::string text = FormatSummary(summary, options, result->model);
  EXPECT_THAT(text, HasSubstr("answered"));
  EXPECT_THAT(text, HasSubstr("2 of 6"));
  EXPECT_THAT(text, HasSubstr("HTTP 429 (slow down!!)"));
  EXPECT_THAT(text, HasSubstr("timeout"));
  EXPECT_THAT(text, HasSubstr("0.4 s"));
}

TEST(Summarise, NumbersByHand) {
  LoadResult result;
  result.wall_us = 4'000'000;
  for (const int64_t seconds : {1, 2, 3, 4}) {
    UserResult user;
    user.outcome = Outcome::kOk;
    user.response_us = seconds * 1'000'000;
    user.first_token_us = seconds * 100'000;
    user.gaps_us = {10'000 * seconds};
    user.tokens = 12;
    user.prompt_tokens = 80;
    result.users.push_back(user);
  }
  const LoadSummary summary = Summarise(result, 60'000'000);
  EXPECT_DOUBLE_EQ(summary.response_s.mean, 2.5);
  EXPECT_DOUBLE_EQ(summary.response_s.median, 2.5);
  EXPECT_DOUBLE_EQ(summary.response_s.max, 4);
  EXPECT_DOUBLE_EQ(summary.first_token_s.median, 0.25);
  EXPECT_DOUBLE_EQ(summary.gap_ms.mean, 25);
  EXPECT_DOUBLE_EQ(summary.tokens_per_s.max, 12);
  EXPECT_DOUBLE_EQ(summary.tokens_per_s.min, 3);
  EXPECT_DOUBLE_EQ(summary.total_tokens_per_s, 12);
  EXPECT_EQ(summary.prompt_tokens, 320);
  EXPECT_TRUE(summary.failures.empty());
  result.users.clear();
  EXPECT_EQ(Summarise(result, 1).answered, 0);
}

}  // namespace
}  // namespace tenfold::bench
