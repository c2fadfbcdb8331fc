// The openai package: OpenAI's client and Azure's.

import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import * as suite from "./suite.js";

const { add, checkCall, checkCounts, checkPieces, checkSent, checkText, collect, raises } = suite;
const model = "gpt-4o-mini";
const embed = "text-embedding-3-small";
const ask = { model, messages: [{ role: "user", content: suite.PROMPT }] };
const tools = [{ type: "function", function: { name: "weather", parameters: suite.SCHEMA } }];
const flatTools = [{ type: "function", name: "weather", parameters: suite.SCHEMA, strict: true }];
const row = (stream, status, type, of = model) => ["openai", of, stream, status, type];
const plain = row(false, 200, "chat");

function client(base = suite.GATEWAY, more = {}) {
  return new OpenAI({ baseURL: `${base}/openai`, apiKey: "sk-client", maxRetries: 0, ...more });
}

const chat = (client, more = {}, headers = {}) => client.chat.completions.create({ ...ask, ...more }, { headers });

function checkChat(answer) {
  checkText(answer.choices[0].message.content, model);
  checkCounts(answer.usage.prompt_tokens, answer.usage.completion_tokens);
}

add("openai: chat", [plain], async () => {
  checkChat(await chat(client()));
  await checkSent("Bearer sk-client");
});

add("openai: chat stream", [row(true, 200, "chat")], async () => {
  const chunks = await collect(await chat(client(), { stream: true, stream_options: { include_usage: true } }));
  const pieces = chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean);
  checkPieces(pieces, model);
  const { usage } = chunks.at(-1);
  checkCounts(usage.prompt_tokens, usage.completion_tokens);
});

add("openai: tools", [plain, row(true, 200, "chat")], async () => {
  const call = (await chat(client(), { tools }, suite.TOOL)).choices[0].message.tool_calls[0].function;
  checkCall(call.name, call.arguments);
  const runner = client().chat.completions.stream({ ...ask, tools }, { headers: suite.TOOL });
  const final = (await runner.finalChatCompletion()).choices[0].message.tool_calls[0].function;
  checkCall(final.name, final.arguments);
});

add("openai: responses", [false, true, false].map((stream) => row(stream, 200, "responses")), async () => {
  const input = suite.PROMPT;
  const answer = await client().responses.create({ model, input });
  checkText(answer.output_text, model);
  checkCounts(answer.usage.input_tokens, answer.usage.output_tokens);
  const events = await collect(await client().responses.create({ model, input, stream: true }));
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  checkPieces(deltas.map((event) => event.delta), model);
  const { usage } = events.at(-1).response;
  checkCounts(usage.input_tokens, usage.output_tokens);
  const options = { headers: suite.TOOL };
  const [call] = (await client().responses.create({ model, input, tools: flatTools }, options)).output;
  checkCall(call.name, call.arguments);
});

add("openai: embeddings", [row(false, 200, "embeddings", embed)], async () => {
  const { data } = await client().embeddings.create({ model: embed, input: ["one", "two"], dimensions: 8 });
  assert.deepEqual(data.map((item) => item.embedding.length), [8, 8]);
});

add("openai: provider errors", [400, 429, 500].map((status) => row(false, status, "chat")), async () => {
  const kinds = { 400: OpenAI.BadRequestError, 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError };
  for (const [status, kind] of Object.entries(kinds)) {
    const error = await raises(kind, chat(client(), {}, { "x-mock": `status=${status}` }));
    assert.equal(error.error.message, `the mock was asked for status ${status}`);
  }
});

add("openai: error in the stream", [row(true, 200, "chat")], async () => {
  const stream = await chat(client(), { stream: true }, { "x-mock": "error-event,chunks-before=2" });
  await raises(OpenAI.APIError, collect(stream));
});

add("openai: gateway errors", [[null, null, false, 400, null], ["openai", null, false, 401, "chat"]], async () => {
  await raises(OpenAI.BadRequestError, chat(client(suite.UNKNOWN)));
  await raises(OpenAI.AuthenticationError, chat(client(suite.LOCKED)));
});

add("openai: token beside and in place of the key", [plain, plain], async () => {
  checkChat(await chat(client(suite.LOCKED, { defaultHeaders: suite.BESIDE })));
  await checkSent("Bearer sk-client");
  checkChat(await chat(client(suite.LOCKED, { apiKey: suite.TOKEN })));
  await checkSent();
});

add("azure: chat", [["azure-openai", model, false, 200, "chat"]], async () => {
  const endpoint = `${suite.GATEWAY}/azure-openai/my-resource`;
  const azure = new AzureOpenAI({ endpoint, apiKey: "azure-key", apiVersion: "2024-10-21", maxRetries: 0 });
  checkChat(await chat(azure));
  await checkSent("azure-key");
});
