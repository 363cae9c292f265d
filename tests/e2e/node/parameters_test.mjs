// Every request parameter with the official openai client, on a model with random weights whose address is in
// TENFOLD_URL. parameters_client_test.py starts a server for each prefix: "fields:" and "errors:" share one that answers
// the same whatever else runs, "retry:" has one of its own, because it unloads the model.
//
// Random weights say noise, but always the same noise: greedy answers are the yardstick of each parameter.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const url = process.env.TENFOLD_URL;
const options = { baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 };
const client = new OpenAI(options);
const model = (await client.models.list()).data[0].id;
const messages = [{ role: "user", content: "Tell me a story." }];
const greedy = { temperature: 0, max_tokens: 24, ignore_eos: true };

const ask = (more) => client.chat.completions.create({ model, messages, ...greedy, ...more });
const complete = (more) => client.completions.create({ model, prompt: "Once", ...greedy, ...more });
const textOf = async (more) => (await ask(more)).choices[0].message.content;
const idsOf = async (more) => (await ask({ ...more, logprobs: true })).choices[0].logprobs.content.map((token) => token.id);
const textOfBytes = (tokens) => new TextDecoder().decode(new Uint8Array(tokens.flatMap((token) => token.bytes)));

// The texts of a stream by choice, and what came beside them.
async function addUp(stream) {
  const sum = { texts: [], finish: [], usage: [], logprobs: [] };
  for await (const chunk of stream) {
    for (const choice of chunk.choices) {
      sum.texts[choice.index] = (sum.texts[choice.index] ?? "") + (choice.text ?? choice.delta?.content ?? "");
      sum.finish[choice.index] = choice.finish_reason ?? sum.finish[choice.index];
      sum.logprobs.push(...(choice.logprobs?.content ?? []));
    }
    if (chunk.usage) {
      assert.deepEqual(chunk.choices, [], "usage comes in a chunk of its own");
      sum.usage.push(chunk.usage);
    }
  }
  return sum;
}

test("fields: n choices, whole and streamed", async () => {
  const request = { n: 4, seed: 11, temperature: 1, max_tokens: 12 };
  const whole = await ask(request);
  assert.deepEqual(whole.choices.map((choice) => choice.index), [0, 1, 2, 3]);
  const texts = whole.choices.map((choice) => choice.message.content);
  assert.equal(new Set(texts).size, 4, "choices are drawn apart");
  assert.equal(whole.usage.completion_tokens, 48);
  const streamed = await addUp(await ask({ ...request, stream: true }));
  assert.deepEqual(streamed.texts, texts);
  assert.deepEqual(streamed.finish, Array(4).fill("length"));
  assert.notEqual((await ask({ ...request, seed: 12 })).choices[0].message.content, texts[0]);
});

test("fields: logprobs and top_logprobs", async () => {
  const choice = (await ask({ logprobs: true, top_logprobs: 5 })).choices[0];
  assert.equal(choice.logprobs.content.length, 24);
  assert.equal(textOfBytes(choice.logprobs.content), choice.message.content);
  for (const token of choice.logprobs.content) {
    assert.equal(token.top_logprobs.length, 5);
    assert.equal(token.top_logprobs[0].logprob, token.logprob, "greedy takes the likeliest");
    assert.equal(textOfBytes([token]), token.token);
    const values = token.top_logprobs.map((other) => other.logprob);
    assert.deepEqual(values, [...values].sort((a, b) => b - a));
    assert.ok(values[0] < 0 && values.reduce((sum, value) => sum + Math.exp(value), 0) < 1);
  }
  const streamed = await addUp(await ask({ logprobs: true, top_logprobs: 5, stream: true }));
  assert.deepEqual(streamed.logprobs, choice.logprobs.content);
  assert.equal((await ask({})).choices[0].logprobs, null);
});

test("fields: logit_bias forces and bans a token", async () => {
  const ids = await idsOf({});
  const forced = ids.includes(700) ? 701 : 700;
  assert.deepEqual(await idsOf({ logit_bias: { [forced]: 100 }, max_tokens: 5 }), Array(5).fill(forced));
  const banned = await idsOf({ logit_bias: { [ids[0]]: -100 } });
  assert.ok(!banned.includes(ids[0]));
  assert.notDeepEqual(banned, ids);
});

test("fields: penalties change a greedy answer", async () => {
  // A bias makes the answer say one token and the next likeliest; a penalty then decides between the two.
  const [a, b] = [700, 701];
  const tied = { logit_bias: { [a]: 100, [b]: 99 }, max_tokens: 6 };
  assert.deepEqual(await idsOf(tied), Array(6).fill(a));
  for (const penalty of [{ presence_penalty: 2 }, { frequency_penalty: 2 }, { repeat_penalty: 1.5 }, { repetition_penalty: 1.5 }]) {
    const ids = await idsOf({ ...tied, ...penalty });
    assert.equal(ids[0], a, JSON.stringify(penalty));
    assert.equal(ids[1], b, `${JSON.stringify(penalty)} moves away from the first token`);
    assert.ok(ids.every((id) => id === a || id === b), JSON.stringify(penalty));
  }
  // Presence counts once and so ends where both are there; frequency goes on, and they take turns.
  assert.deepEqual(await idsOf({ ...tied, presence_penalty: 2 }), [a, b, a, a, a, a]);
  assert.deepEqual(await idsOf({ ...tied, frequency_penalty: 1.5 }), [a, b, a, b, a, b]);
  // A window of one token forgets the one before.
  assert.deepEqual(await idsOf({ ...tied, repeat_penalty: 1.5, repeat_last_n: 1 }), [a, b, a, b, a, b]);
  assert.deepEqual(await idsOf({ ...tied, repeat_penalty: 1.5, repeat_last_n: 0 }), Array(6).fill(a));
});

test("fields: stop strings across token borders", async () => {
  const content = (await ask({ logprobs: true })).choices[0].logprobs.content;
  const whole = content.map((token) => token.token).join("");
  const stop = content[3].token.slice(-3) + content[4].token.slice(0, 4);
  const want = whole.slice(0, whole.indexOf(stop));
  for (const given of [stop, ["never said", stop]]) {
    const choice = (await ask({ stop: given })).choices[0];
    assert.equal(choice.message.content, want);
    assert.equal(choice.finish_reason, "stop");
    const streamed = await addUp(await ask({ stop: given, stream: true }));
    assert.deepEqual([streamed.texts[0], streamed.finish[0]], [want, "stop"]);
  }
  // What only looks like the beginning of a stop string comes out after all.
  const choice = (await ask({ stop: [`${stop}?`] })).choices[0];
  assert.deepEqual([choice.message.content, choice.finish_reason], [whole, "length"]);
});

test("fields: max_completion_tokens and n_predict are max_tokens", async () => {
  const want = await textOf({ max_tokens: 7 });
  for (const name of ["max_completion_tokens", "n_predict"]) {
    const answer = await ask({ max_tokens: undefined, [name]: 7 });
    assert.equal(answer.usage.completion_tokens, 7, name);
    assert.equal(answer.choices[0].message.content, want, name);
    assert.equal(answer.choices[0].finish_reason, "length", name);
  }
});

test("fields: stream_options.include_usage", async () => {
  const whole = await ask({});
  const without = await addUp(await ask({ stream: true }));
  assert.deepEqual(without.usage, []);
  for (const n of [1, 3]) {
    const sum = await addUp(await ask({ stream: true, n, stream_options: { include_usage: true } }));
    assert.equal(sum.usage.length, 1);
    assert.equal(sum.usage[0].prompt_tokens, whole.usage.prompt_tokens);
    assert.equal(sum.usage[0].completion_tokens, 24 * n);
    assert.equal(sum.usage[0].total_tokens, sum.usage[0].prompt_tokens + sum.usage[0].completion_tokens);
  }
});

test("fields: echo, with log-probabilities, with no token drawn", async () => {
  const plain = (await complete({})).choices[0].text;
  assert.equal((await complete({ echo: true })).choices[0].text, `Once${plain}`);
  assert.equal((await addUp(await complete({ echo: true, stream: true }))).texts[0], `Once${plain}`);
  const scored = (await complete({ echo: true, logprobs: 3 })).choices[0];
  assert.equal(textOfBytes(scored.logprobs.content), `Once${plain}`);
  assert.equal(scored.logprobs.tokens.length, scored.logprobs.content.length);
  assert.equal(scored.logprobs.token_logprobs[0], null, "the first token follows nothing");
  assert.ok(scored.logprobs.token_logprobs.slice(1).every((value) => value < 0));
  assert.equal(scored.logprobs.text_offset[4], 4);
  const none = await complete({ echo: true, logprobs: 3, max_tokens: 0 });
  assert.equal(none.choices[0].text, "Once");
  assert.equal(none.usage.completion_tokens, 0);
  const prompt = scored.logprobs.token_logprobs.length - 24;
  assert.deepEqual(none.choices[0].logprobs.token_logprobs, scored.logprobs.token_logprobs.slice(0, prompt));
  // A continuation scored as a prompt has the log-probabilities with which it was drawn.
  const ids = scored.logprobs.content.map((token) => token.id);
  const again = (await complete({ prompt: ids, echo: true, logprobs: 3, max_tokens: 0 })).choices[0];
  again.logprobs.token_logprobs.slice(1).forEach((value, i) =>
    assert.ok(Math.abs(value - scored.logprobs.token_logprobs[i + 1]) < 1e-3, `token ${i + 1}`));
});

test("fields: arrays of prompts, of texts and of tokens", async () => {
  const prompts = ["Once", "A cat", "Why?", "12 + 30 ="];
  const alone = [];
  for (const prompt of prompts) alone.push((await complete({ prompt })).choices[0].text);
  assert.equal(new Set(alone).size, prompts.length);
  const together = await complete({ prompt: prompts });
  assert.deepEqual(together.choices.map((choice) => choice.text), alone);
  assert.deepEqual(together.choices.map((choice) => choice.index), [0, 1, 2, 3]);
  assert.deepEqual((await addUp(await complete({ prompt: prompts, stream: true }))).texts, alone);
  const ids = prompts.map((prompt) => [...new TextEncoder().encode(prompt)]);
  assert.deepEqual((await complete({ prompt: ids })).choices.map((choice) => choice.text), alone);
  assert.equal((await complete({ prompt: ids[1] })).choices[0].text, alone[1]);
  const pairs = await complete({ prompt: prompts, n: 2, echo: true });
  assert.deepEqual(pairs.choices.map((choice) => choice.text), alone.flatMap((text, i) => Array(2).fill(prompts[i] + text)));
});

test("fields: user and cache_prompt change nothing", async () => {
  const want = await textOf({});
  for (const more of [{ user: "anna" }, { cache_prompt: true }, { cache_prompt: false }]) {
    assert.equal(await textOf(more), want, JSON.stringify(more));
  }
});

test("errors: each has its exception, its field and no retry", async () => {
  const refused = async (Type, status, param, work) => {
    const error = await work.then(() => assert.fail(`${param} was not refused`), (e) => e);
    assert.ok(error instanceof Type, `${param}: ${error.constructor.name} ${error.message}`);
    assert.equal(error.status, status, param);
    assert.equal(error.param, param);
    if (param) assert.ok(error.message.includes(param), error.message);
  };
  const bad = (param, more) => refused(OpenAI.BadRequestError, 400, param, ask(more));
  await bad("n", { n: 0 });
  await bad("n", { n: "two" });
  await bad("top_logprobs", { top_logprobs: 3 });
  await bad("top_logprobs", { logprobs: true, top_logprobs: 21 });
  await bad("logit_bias", { logit_bias: { 5: 101 } });
  await bad("logit_bias", { logit_bias: { cat: 1 } });
  await bad("presence_penalty", { presence_penalty: 2.5 });
  await bad("frequency_penalty", { frequency_penalty: -3 });
  await bad("repeat_penalty", { repeat_penalty: 0 });
  await bad("stop", { stop: 5 });
  await bad("max_completion_tokens", { max_tokens: undefined, max_completion_tokens: -2 });
  await bad("user", { user: 7 });
  await bad("cache_prompt", { cache_prompt: "yes" });
  await bad("stream_options", { stream_options: { include_usage: true } });
  await refused(OpenAI.BadRequestError, 400, "prompt", complete({ prompt: [[1, 99999999]] }));
  await refused(OpenAI.BadRequestError, 400, "echo", complete({ echo: 1 }));
  await refused(OpenAI.NotFoundError, 404, "model", ask({ model: "other" }));
  await refused(OpenAI.InternalServerError, 501, "xtc_probability", ask({ xtc_probability: 0.5 }));
  const admin = new OpenAI({ ...options, baseURL: url, defaultHeaders: { Origin: "https://evil.example" } });
  await assert.rejects(admin.post("/admin/unload"), (error) => error instanceof OpenAI.PermissionDeniedError);
  await assert.rejects(new OpenAI({ ...options, baseURL: "http://127.0.0.1:1/v1" }).models.list(), OpenAI.APIConnectionError);
  // What can never work is not tried again, though the client would.
  let sent = 0;
  const counting = new OpenAI({ ...options, maxRetries: 3, fetch: (...given) => (++sent, fetch(...given)) });
  await assert.rejects(counting.chat.completions.create({ model, messages, xtc_probability: 0.5 }), OpenAI.InternalServerError);
  assert.equal(sent, 1);
});

// The model is unloaded under a request: a true 503. The client waits as told, and its second try loads the model.
test("retry: the client waits for Retry-After and then is served", async () => {
  const tries = [];
  const watching = async (...given) => {
    const at = performance.now();
    const response = await fetch(...given);
    tries.push({ at, end: performance.now(), status: response.status, after: response.headers.get("retry-after") });
    return response;
  };
  const patient = new OpenAI({ ...options, maxRetries: 2, fetch: watching });
  const running = patient.chat.completions.create({ model, messages, temperature: 0, ignore_eos: true, max_tokens: 6000 });
  const deadline = performance.now() + 10000;
  for (;;) {
    const slots = /^vllm:num_requests_running\{[^}]*\} (\d+)/m.exec(await (await fetch(`${url}/metrics`)).text());
    if (Number(slots[1]) === 1) break;
    assert.ok(performance.now() < deadline, "the request runs");
    await new Promise((wake) => setTimeout(wake, 5));
  }
  assert.equal((await fetch(`${url}/admin/unload`, { method: "POST" })).status, 202);
  const answer = await running;
  assert.equal(answer.usage.completion_tokens, 6000);
  assert.deepEqual(tries.map((one) => one.status), [503, 200]);
  assert.equal(tries[0].after, "1");
  const waited = tries[1].at - tries[0].end;
  // Left to itself the client would have waited half a second at most.
  assert.ok(waited >= 950 && waited < 5000, `waited ${waited} ms`);
});
