// Health in every state, from snapshots made by hand.
#include "server/status_json.h"

#include <gtest/gtest.h>

#include "server/test_server.h"

namespace tenfold::server {
namespace {

StatusInput Input(engine::LoadState state) {
  StatusInput input;
  input.snapshot.state = state;
  input.served = {"m", "/models/m.gguf"};
  input.stuck_us = kStuckUs;
  return input;
}

std::string HeaderOf(const HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

TEST(StatusJson, Loading) {
  StatusInput input = Input(engine::LoadState::kLoading);
  input.snapshot.progress = 0.25;
  input.snapshot.stage = "packing weights";
  input.snapshot.load_eta_s = 6.2;
  input.held = 3;
  const HttpResponse health = HealthResponse(input);
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(HeaderOf(health, "Retry-After"), "7");
  const boost::json::value json = Json(health.body);
  EXPECT_EQ(Text(json.at("status")), "loading");
  EXPECT_EQ(json.at("progress"), 0.25);
  EXPECT_EQ(Text(json.at("stage")), "packing weights");
  EXPECT_EQ(json.at("eta_s"), 6.2);
  EXPECT_EQ(json.at("queue_depth"), 3);
  EXPECT_EQ(ReadyResponse(input).status, 503);
  EXPECT_EQ(LiveResponse(input).status, 200);
  input.snapshot.load_eta_s = -1;
  EXPECT_TRUE(Json(HealthResponse(input).body).at("eta_s").is_null());
}

TEST(StatusJson, ErrorHasTheReason) {
  StatusInput input = Input(engine::LoadState::kError);
  input.snapshot.error = "m.gguf: no such file";
  const HttpResponse health = HealthResponse(input);
  EXPECT_EQ(health.status, 503);
  EXPECT_NE(HeaderOf(health, "Retry-After"), "");
  EXPECT_EQ(Text(Json(health.body).at("error").at("message")), "m.gguf: no such file");
  EXPECT_EQ(ReadyResponse(input).status, 503);
}

TEST(StatusJson, TellsWhereItsSettingsWereTuned) {
  StatusInput input = Input(engine::LoadState::kReady);
  const auto optimization = [&] { return Json(HealthResponse(input).body).at("optimization").as_object(); };
  EXPECT_TRUE(optimization().at("tuned_from").is_null());
  EXPECT_FALSE(optimization().contains("tuning_ignored"));
  input.tuning = {.from = "p.toml", .ignored = "", .settings = {"threads"}};
  EXPECT_EQ(Text(optimization().at("tuned_from")), "p.toml");
  EXPECT_EQ(Text(optimization().at("tuned_settings").at(0)), "threads");
  input.tuning = {.from = "", .ignored = "it was tuned for another CPU", .settings = {}};
  EXPECT_TRUE(optimization().at("tuned_from").is_null());
  EXPECT_EQ(Text(optimization().at("tuning_ignored")), "it was tuned for another CPU");
}

TEST(StatusJson, NotLoadedIsReadyWhereARequestWouldLoad) {
  StatusInput input = Input(engine::LoadState::kNotLoaded);
  EXPECT_EQ(HealthResponse(input).status, 200);
  EXPECT_EQ(ReadyResponse(input).status, 200);
  input.served = {};
  EXPECT_EQ(HealthResponse(input).status, 200);
  EXPECT_EQ(ReadyResponse(input).status, 503);
}

TEST(StatusJson, Ready) {
  StatusInput input = Input(engine::LoadState::kReady);
  input.snapshot.kv_pages_total = 8;
  input.snapshot.kv_pages_used = 2;
  input.snapshot.waiting = 4;
  input.snapshot.running = 5;
  input.snapshot.last_step_age_us = 1'500'000;
  input.snapshot.optimization.mlock_asked = true;
  input.snapshot.optimization.mlock_reason = "the limit is 8 MiB";
  const boost::json::value json = Json(HealthResponse(input).body);
  EXPECT_EQ(json.at("kv_use"), 0.25);
  EXPECT_EQ(json.at("queue_depth"), 4);
  EXPECT_EQ(json.at("running"), 5);
  EXPECT_EQ(json.at("last_step_age_s"), 1.5);
  EXPECT_EQ(Text(json.at("optimization").at("mlock").at("reason")), "the limit is 8 MiB");
  EXPECT_FALSE(json.as_object().contains("progress"));
  EXPECT_EQ(ReadyResponse(input).status, 200);
  input.draining = true;
  EXPECT_EQ(ReadyResponse(input).status, 503);
}

TEST(StatusJson, SlotsTellWhatRunsAndNotWhatWaits) {
  StatusInput input = Input(engine::LoadState::kReady);
  EXPECT_EQ(SlotsJson(input, {{.task = 1}}), "[]") << "no model, no slots";
  engine::ModelInfo model;
  model.max_context = 64;
  input.model = &model;
  input.snapshot.optimization.parallel = 3;
  input.snapshot.running = 2;
  const std::vector<SlotState> unfinished = {
      {.task = 9, .prompt_tokens = 5},
      {.task = 7, .prompt_tokens = 6},
      {.task = 8, .prompt_tokens = 40, .generated_tokens = 2, .cached_tokens = 32, .most_tokens = 20}};
  const boost::json::value slots = Json(SlotsJson(input, unfinished));
  ASSERT_EQ(slots.as_array().size(), 3u);
  EXPECT_EQ(slots.at(0).at("id_task"), 8) << "what has drawn a token runs";
  EXPECT_EQ(slots.at(0).at("next_token").at(0).at("n_decoded"), 2);
  EXPECT_EQ(slots.at(0).at("n_prompt_tokens_cache"), 32);
  EXPECT_EQ(slots.at(0).at("n_prompt_tokens_processed"), 8);
  EXPECT_TRUE(slots.at(1).at("n_prompt_tokens_cache").is_null()) << "not known before the first token";
  EXPECT_EQ(slots.at(0).at("params").at("n_predict"), 20);
  EXPECT_EQ(slots.at(1).at("id_task"), 7) << "then the eldest";
  EXPECT_EQ(slots.at(1).at("n_prompt_tokens"), 6);
  EXPECT_EQ(slots.at(2).at("is_processing"), false) << "what waits holds no slot";
  EXPECT_EQ(slots.at(2).at("n_ctx"), 64);
}

TEST(StatusJson, StuckIsNotAlive) {
  StatusInput input = Input(engine::LoadState::kReady);
  input.snapshot.last_step_age_us = kStuckUs + 1;
  EXPECT_EQ(LiveResponse(input).status, 200) << "nothing to do is not stuck";
  input.snapshot.work_pending = true;
  EXPECT_EQ(LiveResponse(input).status, 503);
}

}  // namespace
}  // namespace tenfold::server
