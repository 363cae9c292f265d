// The official openai client against a running server. TENFOLD_URL is its address, TENFOLD_KEY its API key; names that
// start with "open:" need a server without a key, "key:" one with it (openai_client_test.py starts both).
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const url = process.env.TENFOLD_URL;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: process.env.TENFOLD_KEY ?? "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Tell me a story." }];

async function firstModel() {
  const page = await client.models.list();
  return page.data[0].id;
}

async function metric(name) {
  const text = await (await fetch(`${url}/metrics`)).text();
  let total = 0;
  for (const line of text.split("\n")) {
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`)) total += Number(line.split(" ").at(-1));
  }
  return total;
}

async function until(condition, what) {
  const deadline = Date.now() + 5000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within 5 s: ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

test("open: lists models and retrieves one", async () => {
  const id = await firstModel();
  assert.ok(id.length > 0);
  assert.equal((await client.models.retrieve(id)).id, id);
});

test("open: chats", async () => {
  const model = await firstModel();
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0, seed: 1 });
  assert.equal(answer.object, "chat.completion");
  assert.equal(answer.choices[0].message.role, "assistant");
  assert.equal(typeof answer.choices[0].message.content, "string");
  assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
  assert.ok(answer.usage.prompt_tokens > 0);
  assert.ok(answer.usage.completion_tokens <= 12);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("open: streams what it answers whole", async () => {
  const model = await firstModel();
  const request = { model, messages, max_tokens: 24, temperature: 0, ignore_eos: true };
  const whole = await client.chat.completions.create(request);
  const stream = await client.chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } });
  let text = "";
  let finish = null;
  let usage = null;
  let first = true;
  for await (const chunk of stream) {
    assert.equal(chunk.object, "chat.completion.chunk");
    if (first) assert.equal(chunk.choices[0].delta.role, "assistant");
    first = false;
    text += chunk.choices[0]?.delta?.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(finish, "length");
  assert.equal(usage.completion_tokens, 24);
});

test("open: streams through the helper with events", async () => {
  const model = await firstModel();
  const runner = client.chat.completions.stream({ model, messages, max_tokens: 8, temperature: 0 });
  let deltas = "";
  runner.on("content", (delta) => (deltas += delta));
  const answer = await runner.finalChatCompletion();
  assert.equal(answer.choices[0].message.content ?? "", deltas);
});

test("open: completes a prompt", async () => {
  const answer = await client.completions.create({ model: await firstModel(), prompt: "Once", max_tokens: 5, temperature: 0 });
  assert.equal(answer.object, "text_completion");
  assert.equal(typeof answer.choices[0].text, "string");
});

test("open: an abort stops the work", async () => {
  const model = await firstModel();
  const cancelled = await metric("tenfold_cancelled_total");
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 400, ignore_eos: true, stream: true });
  let chunks = 0;
  for await (const _ of stream) {
    if (++chunks === 5) {
      stream.controller.abort();
      break;
    }
  }
  await until(async () => (await metric("vllm:num_requests_running")) === 0, "no request is running");
  await until(async () => (await metric("tenfold_cancelled_total")) === cancelled + 1, "the abort is counted");
  const made = await metric("vllm:generation_tokens_total");
  await new Promise((wake) => setTimeout(wake, 200));
  assert.equal(await metric("vllm:generation_tokens_total"), made, "tokens are still being made");
});

test("open: errors have their types", async () => {
  const model = await firstModel();
  const ask = (more) => client.chat.completions.create({ model, messages, max_tokens: 4, ...more });
  await assert.rejects(ask({ temperature: 9 }), (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature");
  await assert.rejects(ask({ model: "no-such-model" }), OpenAI.NotFoundError);
  await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
  await assert.rejects(ask({ messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(ask({ no_such_field: 1 }), (error) => /no_such_field/.test(error.message) && [400, 501].includes(error.status));
  await assert.rejects(ask({ max_tokens: 4, messages: [{ role: "user", content: "word ".repeat(2000) }] }),
    (error) => error instanceof OpenAI.BadRequestError && error.type === "exceed_context_size_error");
  await assert.rejects(client.post("/no/such/route", { body: {} }), OpenAI.NotFoundError);
});

test("key: the right key works, a wrong one is an AuthenticationError", async () => {
  assert.ok((await firstModel()).length > 0);
  const model = await firstModel();
  const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.chat.completions.create({ model, messages, max_tokens: 4 }), OpenAI.AuthenticationError);
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 4 });
  assert.equal(answer.object, "chat.completion");
});

// A schema whose answers end on their own, different for each number.
function structured(number) {
  const key = `k${number}`;
  const schema = {
    $defs: { unit: { enum: ["mm", "cm", number] } },
    type: "object",
    properties: {
      [key]: { type: "array", items: { type: "array", items: { type: "integer", minimum: 0, maximum: 99 }, maxItems: 2 }, minItems: 1, maxItems: 2 },
      unit: { $ref: "#/$defs/unit" },
      label: { type: ["string", "null"], maxLength: 5 },
    },
    required: [key, "unit", "label"],
    additionalProperties: false,
  };
  return { type: "json_schema", json_schema: { name: key, strict: true, schema } };
}

function checkStructured(text, number) {
  const value = JSON.parse(text);
  assert.deepEqual(Object.keys(value).sort(), [`k${number}`, "label", "unit"].sort());
  assert.ok(["mm", "cm", number].includes(value.unit));
  assert.ok(value.label === null || [...value.label].length <= 5);
  assert.ok(value[`k${number}`].length >= 1 && value[`k${number}`].flat().every((n) => Number.isInteger(n) && n >= 0 && n <= 99));
}

test("structured: ten schemas at once, whole and streamed, give what each gives alone", async () => {
  const model = await firstModel();
  const body = (number) => ({ model, messages, max_tokens: 1000, temperature: 1.5, seed: 7 + number, response_format: structured(number) });
  const whole = async (number) => {
    const answer = await client.chat.completions.create(body(number));
    assert.equal(answer.choices[0].finish_reason, "stop");
    return answer.choices[0].message.content;
  };
  const streamed = async (number) => {
    let text = "";
    const stream = await client.chat.completions.create({ ...body(number), stream: true });
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  };
  const numbers = [...Array(10).keys()];
  const alone = [];
  for (const number of numbers) alone.push(await whole(number));
  alone.forEach(checkStructured);
  assert.deepEqual(await Promise.all(numbers.map(whole)), alone);
  assert.deepEqual(await Promise.all(numbers.map(streamed)), alone);
});

test("structured: what is not supported is a BadRequestError with its name", async () => {
  const model = await firstModel();
  const ask = (schema) => client.chat.completions.create({
    model, messages, max_tokens: 4, response_format: { type: "json_schema", json_schema: { name: "x", schema } } });
  await assert.rejects(ask({ type: "array", uniqueItems: true }), (error) =>
    error instanceof OpenAI.BadRequestError && error.param === "response_format" && /uniqueItems/.test(error.message));
});
