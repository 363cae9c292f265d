// Tools and reasoning with the official openai client against a running server whose address is in TENFOLD_URL.
// tools_client_test.py starts one for each prefix: "qwen:" has Qwen3's template, "llama:" Llama 3.2's, "opened:" one
// whose prompt ends with <think>. Weights are random: `say` makes a model say one text, by a grammar of that text.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.TENFOLD_URL}/v1`, apiKey: "none", maxRetries: 0 });
const model = (await client.models.list()).data[0].id;
const user = { role: "user", content: "How is the weather in Ulm?" };
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a town.",
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", description: "A town.", enum: ["Ulm", "Bonn", "Jena \"East\""] },
        days: { type: "array", description: "Which days.", items: { type: "integer", minimum: 1, maximum: 7 }, minItems: 1, maxItems: 3 },
        unit: { type: "object", description: "The unit.", properties: { name: { enum: ["C", "F"] }, exact: { type: "boolean" } }, required: ["name", "exact"] },
      },
      required: ["city", "days", "unit"],
      additionalProperties: false,
    },
  },
};
const now = {
  type: "function",
  function: { name: "now", description: "The time.", parameters: { type: "object", properties: {}, additionalProperties: false } },
};
const tools = [weather, now];

const ask = (more) => client.chat.completions.create({ model, messages: [user], max_tokens: 300, ...more });
const say = (text, more) => ask({ grammar: `root ::= ${JSON.stringify(text)}`, tools, ...more });

function checkWeather(text) {
  const given = JSON.parse(text);
  assert.deepEqual(Object.keys(given), ["city", "days", "unit"]);
  assert.ok(weather.function.parameters.properties.city.enum.includes(given.city), text);
  assert.ok(given.days.length >= 1 && given.days.length <= 3, text);
  for (const day of given.days) assert.ok(Number.isInteger(day) && day >= 1 && day <= 7, text);
  assert.ok(["C", "F"].includes(given.unit.name) && typeof given.unit.exact === "boolean", text);
}

function checkCalls(choice, most) {
  assert.equal(choice.finish_reason, "tool_calls");
  const calls = choice.message.tool_calls;
  assert.equal(choice.message.content, null);
  assert.ok(calls.length >= 1 && calls.length <= most);
  assert.equal(new Set(calls.map((call) => call.id)).size, calls.length);
  for (const call of calls) {
    assert.equal(call.type, "function");
    assert.match(call.id, /^call_[0-9a-f]+$/);
    if (call.function.name === "now") assert.deepEqual(JSON.parse(call.function.arguments), {});
    else checkWeather(call.function.arguments);
  }
  return calls;
}

// Adds up a stream as OpenAI's documents say, checking the shape of every delta.
async function addUp(stream) {
  const sum = { content: "", reasoning: "", calls: [], finish: null };
  for await (const chunk of stream) {
    for (const choice of chunk.choices) {
      const delta = choice.delta;
      sum.content += delta.content ?? "";
      sum.reasoning += delta.reasoning_content ?? "";
      for (const call of delta.tool_calls ?? []) {
        assert.equal(delta.tool_calls.length, 1);
        if (call.id !== undefined) {
          assert.equal(call.index, sum.calls.length);
          assert.equal(call.type, "function");
          assert.equal(call.function.arguments, "");
          sum.calls.push({ name: call.function.name, arguments: "", pieces: 0 });
        } else {
          assert.equal(call.index, sum.calls.length - 1);
          assert.equal(call.function.name, undefined);
          sum.calls.at(-1).arguments += call.function.arguments;
          ++sum.calls.at(-1).pieces;
        }
      }
      sum.finish = choice.finish_reason ?? sum.finish;
    }
  }
  return sum;
}

const plain = (calls) => calls.map((call) => ({ name: call.function?.name ?? call.name, arguments: call.function?.arguments ?? call.arguments }));

async function twoTurns(seed, more) {
  const request = { tools, tool_choice: "required", temperature: 1.5, seed, ...more };
  const first = await ask(request);
  const calls = checkCalls(first.choices[0], more?.parallel_tool_calls === false ? 1 : 16);
  const streamed = await addUp(await ask({ ...request, stream: true }));
  assert.deepEqual(plain(streamed.calls), plain(calls));
  assert.equal(streamed.content, "");
  assert.equal(streamed.finish, "tool_calls");
  const results = calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: '{"sky":"clear"}' }));
  const second = await ask({ messages: [user, first.choices[0].message, ...results], tools, max_tokens: 8, ignore_eos: true, seed });
  assert.equal(second.choices[0].finish_reason, "length");
  assert.equal(typeof second.choices[0].message.content, "string");
  assert.equal(second.usage.completion_tokens, 8);
}

test("qwen: a call that must be made, and the turn after it", async () => {
  for (let seed = 1; seed <= 3; ++seed) await twoTurns(seed, { max_tokens: 2000 });
});

test("qwen: at most one call", async () => {
  for (let seed = 1; seed <= 5; ++seed) await twoTurns(seed, { parallel_tool_calls: false });
});

test("qwen: a named function is called once, by each of n choices", async () => {
  const answer = await ask({ tools, tool_choice: { type: "function", function: { name: "get_weather" } }, n: 3, seed: 9, temperature: 1.5 });
  assert.equal(answer.choices.length, 3);
  const ids = answer.choices.map((choice) => {
    const calls = checkCalls(choice, 1);
    assert.equal(calls[0].function.name, "get_weather");
    return calls[0].id;
  });
  assert.equal(new Set(ids).size, 3);
});

const two =
  'I look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Ulm </tool_call>", "x": [1, {}]}}\n</tool_call>\n' +
  '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>';

test("qwen: parallel calls, whole and streamed", async () => {
  const want = [
    { name: "get_weather", arguments: '{"city": "Ulm </tool_call>", "x": [1, {}]}' },
    { name: "now", arguments: "{}" },
  ];
  const whole = (await say(two)).choices[0];
  assert.equal(whole.message.content, "I look.");
  assert.deepEqual(plain(whole.message.tool_calls), want);
  assert.equal(whole.finish_reason, "tool_calls");
  const streamed = await addUp(await say(two, { stream: true }));
  assert.equal(streamed.content, "I look.");
  assert.deepEqual(plain(streamed.calls), want);
  assert.ok(streamed.calls[0].pieces > 3, "arguments come while they are written");
  assert.equal(streamed.finish, "tool_calls");
  const one = (await say(two, { parallel_tool_calls: false })).choices[0];
  assert.deepEqual(plain(one.message.tool_calls), want.slice(0, 1));
  assert.equal(one.finish_reason, "tool_calls");
  const helper = client.chat.completions.stream({ model, messages: [user], tools, max_tokens: 300, grammar: `root ::= ${JSON.stringify(two)}` });
  const final = await helper.finalChatCompletion();
  assert.deepEqual(plain(final.choices[0].message.tool_calls), want);
});

test("qwen: odd answers are content, unchanged", async () => {
  for (const text of [
    '<tool_call>\n{"name": "unknown", "arguments": {}}\n</tool_call>',
    '<tool_call>\n{"name": "now", "argum',
    "<tool_call> I would call now </tool_call>",
    "a <tool_call",
    '{"name": "now", "arguments": {}}',
    "</tool_call>\n</think> <think>",
  ]) {
    const choice = (await say(text)).choices[0];
    assert.equal(choice.message.content, text);
    assert.equal(choice.message.tool_calls, undefined);
    assert.equal(choice.finish_reason, "stop");
    assert.equal((await addUp(await say(text, { stream: true }))).content, text);
  }
});

test("qwen: odd arguments are handed on as they are", async () => {
  const choice = (await say('<tool_call>\n{"name": "now", "arguments": {\'a\': 1,}}\n</tool_call> done')).choices[0];
  assert.deepEqual(plain(choice.message.tool_calls), [{ name: "now", arguments: "{'a': 1,}" }]);
  assert.equal(choice.message.content, " done");
  const cut = (await say(two, { max_tokens: 20 })).choices[0];
  assert.equal(cut.finish_reason, "length");
});

test("qwen: without tools, or with none to be called, a call is text", async () => {
  const text = '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>';
  assert.equal((await say(text, { tools: undefined })).choices[0].message.content, text);
  assert.equal((await say(text, { tool_choice: "none" })).choices[0].message.content, text);
});

test("qwen: noise never breaks an answer, and no text is lost", async () => {
  for (let seed = 1; seed <= 12; ++seed) {
    const request = { tools, temperature: 1.5, seed, max_tokens: 60, ignore_eos: true, logprobs: true };
    const choice = (await ask(request)).choices[0];
    const bytes = choice.logprobs.content.flatMap((token) => token.bytes);
    assert.equal(choice.logprobs.content.length, 60);
    assert.equal(choice.message.content, new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes)));
    const streamed = await addUp(await ask({ ...request, stream: true }));
    assert.equal(streamed.content, choice.message.content);
  }
});

test("qwen: strict functions under auto", async () => {
  const strict = { type: "function", function: { ...weather.function, strict: true } };
  for (let seed = 1; seed <= 3; ++seed) {
    const choice = (await ask({ tools: [strict], temperature: 1.5, seed, max_tokens: 40 })).choices[0];
    assert.ok(["stop", "length", "tool_calls"].includes(choice.finish_reason));
  }
});

test("qwen: reasoning is apart", async () => {
  const text = "<think>\nThe user asks.\n</think>\n\nIt is dry.";
  const choice = (await say(text)).choices[0];
  assert.equal(choice.message.reasoning_content, "The user asks.");
  assert.equal(choice.message.content, "It is dry.");
  const streamed = await addUp(await say(text, { stream: true }));
  assert.equal(streamed.reasoning, "The user asks.");
  assert.equal(streamed.content, "It is dry.");
  assert.equal((await say(text, { reasoning_format: "none" })).choices[0].message.content, text);
  const call = (await say(`<think>hm</think>\n${two}`)).choices[0];
  assert.equal(call.message.reasoning_content, "hm");
  assert.equal(call.message.tool_calls.length, 2);
  // Both come back in the next turn.
  const results = call.message.tool_calls.map((c) => ({ role: "tool", tool_call_id: c.id, content: "dry" }));
  const next = await ask({ messages: [user, call.message, ...results], tools, max_tokens: 4 });
  assert.ok(next.usage.completion_tokens >= 1);
});

test("qwen: stop strings look at content only", async () => {
  const choice = (await say("<think>a. b</think>c. d", { stop: ["."] })).choices[0];
  assert.equal(choice.message.reasoning_content, "a. b");
  assert.equal(choice.message.content, "c");
  assert.equal(choice.finish_reason, "stop");
});

test("qwen: what cannot be done is refused by name", async () => {
  const refuses = (more, param, status = 400) => assert.rejects(ask(more), (error) => error.param === param && error.status === status && error.message.includes(param), param);
  const odd = { type: "function", function: { name: "odd", parameters: { type: "object", properties: { a: { type: "array", uniqueItems: true } } } } };
  await assert.rejects(ask({ tools: [now, odd], tool_choice: "required" }), (error) =>
    error instanceof OpenAI.BadRequestError && error.param === "tools[1].function.parameters" && error.message.includes("uniqueItems"));
  await refuses({ tools: [{ type: "web_search" }] }, "tools[0].type", 501);
  await refuses({ tools, tool_choice: { type: "function", function: { name: "then" } } }, "tool_choice.function.name");
  await refuses({ tool_choice: "required" }, "tool_choice");
  await refuses({ functions: [now.function] }, "functions");
  await refuses({ messages: [user, { role: "tool", tool_call_id: "x", content: "1" }] }, "messages[1].tool_call_id");
  await refuses({ tools, tool_choice: "required", response_format: { type: "json_object" } }, "response_format");
  assert.equal((await ask({ tools: [odd], max_tokens: 2 })).choices.length, 1);
});

test("llama: a call that must be made, and the turn after it", async () => {
  for (let seed = 1; seed <= 5; ++seed) await twoTurns(seed, { parallel_tool_calls: false });
});

test("llama: calls are the whole answer, or follow the tag", async () => {
  const one = '{"name": "get_weather", "parameters": {"city": "Ulm"}}';
  for (const text of [one, `<|python_tag|>${one}`, `{"type": "function", ${one.slice(1)}`]) {
    const choice = (await say(text)).choices[0];
    assert.deepEqual(plain(choice.message.tool_calls), [{ name: "get_weather", arguments: '{"city": "Ulm"}' }]);
    assert.equal(choice.message.content, null);
  }
  const streamed = await addUp(await say(`${one}; {"name": "now", "parameters": {}}`, { stream: true }));
  assert.deepEqual(plain(streamed.calls), [{ name: "get_weather", arguments: '{"city": "Ulm"}' }, { name: "now", arguments: "{}" }]);
  for (const text of ['{"answer": 42}', `Look: ${one}`, '{"name": "then", "parameters": {}}']) {
    assert.equal((await say(text)).choices[0].message.content, text);
  }
});

test("opened: an answer that starts in reasoning", async () => {
  const request = { chat_template_kwargs: { enable_thinking: true }, temperature: 1.5, seed: 4, max_tokens: 30, ignore_eos: true, logprobs: true };
  const choice = (await ask(request)).choices[0];
  const bytes = choice.logprobs.content.flatMap((token) => token.bytes);
  assert.equal(choice.message.content, "");
  assert.equal(choice.message.reasoning_content, new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array(bytes)).trim());
  const streamed = await addUp(await ask({ ...request, stream: true }));
  assert.equal(streamed.reasoning, choice.message.reasoning_content);
  assert.equal(streamed.content, "");
  assert.ok((await ask({ ...request, reasoning_format: "none" })).choices[0].message.content.length > 0);
  // The template closes the block itself when thinking is off.
  const off = (await ask({ ...request, chat_template_kwargs: { enable_thinking: false } })).choices[0];
  assert.equal(off.message.reasoning_content, undefined);
  assert.ok(off.message.content.length > 0);
});

test("opened: a format that is not known leaves calls as text and cannot be forced", async () => {
  const choice = (await say("<tool_call>x", { chat_template_kwargs: { enable_thinking: false } })).choices[0];
  assert.equal(choice.message.content, "<tool_call>x");
  await assert.rejects(ask({ tools, tool_choice: "required" }), (error) => error.status === 501 && error.param === "tool_choice");
});
