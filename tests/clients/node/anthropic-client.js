// The @anthropic-ai/sdk package.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import * as suite from "./suite.js";

const { add, checkCall, checkCounts, checkPieces, checkSent, checkText, collect, raises } = suite;
const model = "claude-sonnet-4-5";
const ask = { model, max_tokens: 1024, messages: [{ role: "user", content: suite.PROMPT }] };
const tools = [{ name: "weather", input_schema: suite.SCHEMA }];
const row = (stream, status, type = "chat") => ["anthropic", model, stream, status, type];

function client(base = suite.GATEWAY, more = {}) {
  return new Anthropic({ baseURL: `${base}/anthropic`, apiKey: "sk-ant-client", maxRetries: 0, ...more });
}

const message = (client, more = {}, headers = {}) => client.messages.create({ ...ask, ...more }, { headers });

function checkMessage(answer) {
  checkText(answer.content[0].text, model);
  checkCounts(answer.usage.input_tokens, answer.usage.output_tokens);
}

add("anthropic: message", [row(false, 200)], async () => {
  checkMessage(await message(client()));
  await checkSent("sk-ant-client");
});

add("anthropic: stream", [row(true, 200), row(true, 200)], async () => {
  const events = await collect(await message(client(), { stream: true }));
  const deltas = events.filter((event) => event.type === "content_block_delta");
  checkPieces(deltas.map((event) => event.delta.text), model);
  const end = events.find((event) => event.type === "message_delta");
  checkCounts(events[0].message.usage.input_tokens, end.usage.output_tokens);
  checkMessage(await client().messages.stream(ask).finalMessage());
});

add("anthropic: tools", [row(false, 200), row(true, 200)], async () => {
  const [block] = (await message(client(), { tools }, suite.TOOL)).content;
  checkCall(block.name, block.input);
  const stream = client().messages.stream({ ...ask, tools }, { headers: suite.TOOL });
  const [last] = (await stream.finalMessage()).content;
  checkCall(last.name, last.input);
});

add("anthropic: count of tokens", [row(false, 200, "count_tokens")], async () => {
  const { input_tokens } = await client().messages.countTokens({ model, messages: ask.messages });
  assert(input_tokens > 0);
});

add("anthropic: provider errors", [400, 429].map((status) => row(false, status)), async () => {
  const kinds = { 400: Anthropic.BadRequestError, 429: Anthropic.RateLimitError };
  for (const [status, kind] of Object.entries(kinds)) {
    const error = await raises(kind, message(client(), {}, { "x-mock": `status=${status}` }));
    assert.equal(error.error.error.message, `the mock was asked for status ${status}`);
  }
});

add("anthropic: error in the stream", [row(true, 200)], async () => {
  const stream = await message(client(), { stream: true }, { "x-mock": "error-event,chunks-before=2" });
  const error = await raises(Anthropic.APIError, collect(stream));
  assert.equal(error.error.error.type, "overloaded_error");
});

const refused = [[null, null, false, 400, null], ["anthropic", null, false, 401, "chat"]];
add("anthropic: gateway errors", refused, async () => {
  await raises(Anthropic.BadRequestError, message(client(suite.UNKNOWN)));
  await raises(Anthropic.AuthenticationError, message(client(suite.LOCKED)));
});

add("anthropic: token beside and in place of the key", [row(false, 200), row(false, 200)], async () => {
  checkMessage(await message(client(suite.LOCKED, { defaultHeaders: suite.BESIDE })));
  await checkSent("sk-ant-client");
  checkMessage(await message(client(suite.LOCKED, { apiKey: suite.TOKEN })));
  await checkSent();
});
