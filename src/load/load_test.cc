#include "load/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "load/prompts.h"
#include "load/scripted_server_test.h"
#include "results/figures.h"
#include "results/figures_text.h"

namespace tenfold::load {
namespace {

using testing::HasSubstr;
using testing::Not;
using Peer = ScriptedServer::Peer;
using results::Outcome;
using results::Phase;
using results::Request;

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
void LieAboutTokens(const Peer& peer) {
  peer.Send(std::string(kStreamHead) + kToken + kToken +
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":88,\"completion_tokens\":400}}\n\n" + kDone);
}
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
// One line without an end, as of a server that does not know "stream".
void PlainJson(const Peer& peer) {
  peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\n{\"choices\":[{\"message\":{\"content\":1}}");
}
void NotEvenHttp(const Peer& peer) { peer.Send("SSH-2.0-OpenSSH_9.2\r\n"); }
void ErrorEvent(const Peer& peer) {
  peer.Send(std::string(kStreamHead) + kToken + "data: {\"error\":{\"message\":\"preempted\"}}\n\n");
}
void Status429(const Peer& peer) {
  peer.Send(
      "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 35\r\n\r\n{\"error\":{\"message\":\"slow "
      "down!!\"}}");
}
void Status503(const Peer& peer) { peer.Send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"); }

LoadOptions OptionsFor(const std::string& url, int64_t users) {
  LoadOptions options;
  options.targets = {{.url = url, .model = "", .api_key = ""}};
  options.prompts = BuiltInPrompts({Length::kShort}, {Language::kEnglish});
  options.users = {users};
  options.asking.max_tokens = 3;
  options.asking.timeout_us = 400'000;
  options.cold = false;
  options.warm_ups = 0;
  return options;
}

// All that a test hands over, as its file would hold it.
results::ResultFile Collect(const LoadOptions& options, const std::function<bool()>& stopped = {}) {
  results::ResultFile file;
  file.plan.timeout_s = static_cast<double>(options.asking.timeout_us) / 1e6;
  Observer observer;
  observer.on_server = [&](const results::Server& server) { file.servers.push_back(server); };
  observer.on_request = [&](const Request& request) { file.requests.push_back(request); };
  observer.on_run = [&](const results::Run& run) { file.runs.push_back(run); };
  observer.stopped = stopped;
  const Result<bool> done = RunLoad(options, observer);
  EXPECT_TRUE(done.ok());
  file.interrupted = done.ok() && !*done;
  return file;
}

// What the only user of a server with one script gets.
Request One(const ScriptedServer::Script& script) {
  ScriptedServer server({script});
  return Collect(OptionsFor(server.url(), 1)).requests.at(0);
}

TEST(RunLoad, MeasuresAGoodAnswer) {
  const Request user = One(AnswerWell);
  EXPECT_EQ(user.outcome, Outcome::kOk);
  EXPECT_EQ(user.tokens, 3);
  EXPECT_EQ(user.prompt_tokens, 88);
  EXPECT_FALSE(user.tokens_estimated);
  ASSERT_EQ(user.gaps_ms.size(), 1u);
  EXPECT_GE(user.first_token_s, 0.029);
  EXPECT_GE(user.gaps_ms[0], 15);
  EXPECT_GE(user.waited_s, user.first_token_s + user.gaps_ms[0] / 1e3);
  EXPECT_LT(user.waited_s, 0.4);
  EXPECT_FALSE(user.retry_after_s);
}

TEST(RunLoad, CountsEventsWhereUsageIsMissing) {
  const Request user = One(AnswerWithoutUsage);
  EXPECT_EQ(user.outcome, Outcome::kOk);
  EXPECT_EQ(user.tokens, 2);
  EXPECT_TRUE(user.tokens_estimated);
  EXPECT_EQ(user.tokens_doubt, "");
}

TEST(RunLoad, DoesNotBelieveAUsageThatCannotBeTrue) {
  const Request user = One(LieAboutTokens);
  EXPECT_EQ(user.outcome, Outcome::kOk);
  EXPECT_EQ(user.tokens, 2);
  EXPECT_TRUE(user.tokens_estimated);
  EXPECT_THAT(user.tokens_doubt, HasSubstr("400"));
}

TEST(RunLoad, NamesEachWayToFail) {
  const std::vector<std::pair<ScriptedServer::Script, Outcome>> cases = {
      {AnswerNothing, Outcome::kEmpty},     {Hang, Outcome::kTimeout},
      {HangInTheMiddle, Outcome::kTimeout}, {CloseAtOnce, Outcome::kClosedEarly},
      {CloseEarly, Outcome::kClosedEarly},  {CloseInsideAChunk, Outcome::kClosedEarly},
      {Garbage, Outcome::kNotAStream},      {Html, Outcome::kNotAStream},
      {PlainJson, Outcome::kNotAStream},    {NotEvenHttp, Outcome::kClosedEarly},
      {ErrorEvent, Outcome::kErrorEvent},   {Status429, Outcome::kHttpStatus},
      {Status503, Outcome::kHttpStatus},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    const Request user = One(cases[i].first);
    EXPECT_EQ(user.outcome, cases[i].second) << "case " << i << ": " << NameOf(user.outcome) << ", " << user.detail;
    EXPECT_EQ(user.tokens, 0) << "case " << i;
  }
  const Request refused = One(Status429);
  EXPECT_EQ(refused.detail, "slow down!!");
  EXPECT_EQ(refused.http_status, 429);
  EXPECT_EQ(refused.retry_after_s, 7.0);
}

TEST(RunLoad, NoServer) {
  std::string url;
  {
    const ScriptedServer gone({Hang});
    url = gone.url();
  }
  const results::ResultFile file = Collect(OptionsFor(url, 2));
  ASSERT_EQ(file.requests.size(), 2u);
  for (const Request& user : file.requests) EXPECT_EQ(user.outcome, Outcome::kNoConnection) << user.detail;
}

TEST(RunLoad, BadUrl) {
  for (const char* url : {"127.0.0.1:80", "ftp://x", "http://", ""}) {
    const auto result = RunLoad(OptionsFor(url, 1), {});
    ASSERT_FALSE(result.ok()) << url;
    EXPECT_THAT(result.error().message, HasSubstr("http://"));
  }
}

TEST(RunLoad, UsersAskAtOnceAndDifferently) {
  // Every answer takes 50 ms: ten of them one after the other would take half a second.
  ScriptedServer server({AnswerWell});
  LoadOptions options = OptionsFor(server.url() + "/v1/", 10);
  options.targets[0].api_key = "sesame";
  options.asking.ignore_eos = true;
  options.asking.system_prompt = "Be kind.";
  const results::ResultFile file = Collect(options);
  EXPECT_EQ(file.servers.at(0).model, "scripted");
  EXPECT_LT(file.runs.at(0).wall_s, 0.35);
  std::vector<std::string> requests = server.requests();
  ASSERT_EQ(requests.size(), 10u);
  for (const std::string& request : requests) {
    EXPECT_THAT(request, HasSubstr("POST /v1/chat/completions HTTP/1.1\r\n"));
    EXPECT_THAT(request, HasSubstr("Authorization: Bearer sesame\r\n"));
    EXPECT_THAT(request, HasSubstr("\"model\":\"scripted\""));
    EXPECT_THAT(request, HasSubstr("\"ignore_eos\":true"));
    EXPECT_THAT(request, HasSubstr("\"include_usage\":true"));
    EXPECT_THAT(request, HasSubstr("\"max_tokens\":3"));
    EXPECT_THAT(request, HasSubstr("{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\""));
  }
  std::sort(requests.begin(), requests.end());
  EXPECT_EQ(std::unique(requests.begin(), requests.end()), requests.end());
}

TEST(RunLoad, PhasesInOrderAndNoPromptTwice) {
  ScriptedServer server({AnswerWell});
  LoadOptions options = OptionsFor(server.url(), 1);
  options.users = {1, 3};
  options.cold = true;
  options.warm_ups = 2;
  options.rounds = 2;
  options.questions = 2;
  const results::ResultFile file = Collect(options);
  std::vector<std::string> phases;
  std::set<int64_t> prompts;
  for (const results::Run& run : file.runs) phases.push_back(results::TitleOf(run.phase, run.users));
  for (const Request& request : file.requests) prompts.insert(request.prompt);
  EXPECT_THAT(phases, testing::ElementsAre("cold start", "warm-up", "one user", "3 users", "one user", "3 users"));
  EXPECT_EQ(file.requests.size(), 1u + 2 + 2 * 2 * (1 + 3));
  EXPECT_EQ(prompts.size(), file.requests.size());
}

TEST(RunLoad, TwoServersGetTheSameQuestionsInTurns) {
  ScriptedServer first({AnswerWell});
  ScriptedServer second({AnswerWell});
  LoadOptions options = OptionsFor(first.url(), 2);
  options.targets.push_back({.url = second.url(), .model = "other", .api_key = ""});
  options.rounds = 2;
  const results::ResultFile file = Collect(options);
  std::vector<int64_t> order;
  for (const results::Run& run : file.runs) order.push_back(run.server);
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 1, 0));
  std::multiset<std::pair<int64_t, int64_t>> a, b;
  for (const Request& r : file.requests) (r.server == 0 ? a : b).insert({r.round, r.prompt});
  EXPECT_EQ(a, b);
  EXPECT_THAT(second.requests().at(0), HasSubstr("\"model\":\"other\""));
}

TEST(RunLoad, RequestsArriveAtRandomWhoeverStillWaits) {
  ScriptedServer server({Hang});
  LoadOptions options = OptionsFor(server.url(), 1);
  options.rate = 40;
  options.rate_s = 0.5;
  const results::ResultFile file = Collect(options);
  EXPECT_EQ(file.requests.size(), ArrivalTimes(40, 0.5, 1).size());
  EXPECT_GT(file.requests.size(), 5u);
  EXPECT_LT(file.runs.at(0).wall_s, 1.5);  // one after the other they would wait for 0.4 s each
  for (const Request& r : file.requests) EXPECT_EQ(r.phase, Phase::kRate);
}

TEST(ArrivalTimes, AreAPoissonProcess) {
  const std::vector<double> times = ArrivalTimes(5, 2000, 3);
  EXPECT_NEAR(static_cast<double>(times.size()), 10'000, 400);  // four standard deviations
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_LT(times.back(), 2000);
  int64_t long_gaps = 0;  // e^-1 of the gaps are longer than the mean
  for (size_t i = 1; i < times.size(); ++i) long_gaps += times[i] - times[i - 1] > 0.2;
  EXPECT_NEAR(static_cast<double>(long_gaps) / static_cast<double>(times.size()), 0.3679, 0.02);
  EXPECT_EQ(ArrivalTimes(5, 2000, 3), times);
  EXPECT_NE(ArrivalTimes(5, 2000, 4), times);
}

TEST(RunLoad, AStopGivesUpTheRunUnderWay) {
  ScriptedServer server({AnswerWell, AnswerWell, Hang, Hang});
  LoadOptions options = OptionsFor(server.url(), 2);
  options.asking.timeout_us = 60'000'000;
  options.rounds = 2;
  size_t runs = 0;
  results::ResultFile file;
  Observer observer;
  observer.on_run = [&](const results::Run&) { ++runs; };
  observer.stopped = [&] { return runs == 1 && server.requests().size() == 4; };
  const Result<bool> done = RunLoad(options, observer);
  ASSERT_TRUE(done.ok());
  EXPECT_FALSE(*done);
  EXPECT_EQ(runs, 1u);
}

TEST(RunLoad, AnAnswerMustContainWhatItsPromptExpects) {
  ScriptedServer server({AnswerWell});
  LoadOptions options = OptionsFor(server.url(), 1);
  options.prompts = {{"say word", "word word"}};
  EXPECT_EQ(Collect(options).requests.at(0).outcome, Outcome::kOk);
  options.prompts = {{"say word", "ward"}};
  const Request wrong = Collect(options).requests.at(0);
  EXPECT_EQ(wrong.outcome, Outcome::kWrong);
  EXPECT_THAT(wrong.detail, HasSubstr("ward"));
}

TEST(RequestBody, StandardFieldsOnly) {
  const Asking asking;
  EXPECT_THAT(RequestBody(asking, "m", "p"), Not(HasSubstr("ignore_eos")));
  EXPECT_THAT(RequestBody(asking, "m", "p"), Not(HasSubstr("system")));
  EXPECT_THAT(RequestBody(asking, "", "p"), Not(HasSubstr("model")));
}

// The promise: failures are never counted as fast. Fast for one user, it fails four of six.
TEST(RunLoad, FailuresCountWithTheWholeTimeout) {
  ScriptedServer server({AnswerWell, AnswerWell, Hang, CloseAtOnce, Status429, Garbage, AnswerWell});
  LoadOptions options = OptionsFor(server.url(), 6);
  options.users = {1, 6};
  const results::ResultFile file = Collect(options);
  const std::vector<results::Group> groups = results::GroupsOf(file);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(results::FiguresOf(groups[0], 0.4).success(), 1);
  const results::Figures six = results::FiguresOf(groups[1], 0.4);
  EXPECT_EQ(six.asked, 6);
  EXPECT_EQ(six.answered, 2);
  EXPECT_EQ(six.tokens, 6);
  EXPECT_GE(six.response_s.mean, 4 * 0.4 / 6);
  EXPECT_GE(six.response_s.median, 0.4);
  EXPECT_GE(six.first_token_s.median, 0.4);
  EXPECT_DOUBLE_EQ(six.gap_ms.max, 400);
  EXPECT_DOUBLE_EQ(six.tokens_per_s.min, 0);
  EXPECT_EQ(six.failures.size(), 4u);
  EXPECT_EQ(six.longest_retry_after_s, 7);
  const std::string text = results::FormatFigures(six, groups[1], 0.4);
  for (const char* part : {"2 of 6", "HTTP 429 (slow down!!)", "timeout", "0.4 s", "wait 7 s"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace tenfold::load
