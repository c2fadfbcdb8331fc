// The ai package with @ai-sdk/openai: chat completions and responses.

import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, embedMany, generateText, jsonSchema, streamText, tool } from "ai";
import * as suite from "./suite.js";

globalThis.AI_SDK_LOG_WARNINGS = false;

const { add, checkCall, checkCounts, checkPieces, checkSent, checkText, collect, raises } = suite;
const name = "gpt-4o-mini";
const embed = "text-embedding-3-small";
const prompt = suite.PROMPT;
const tools = { weather: tool({ inputSchema: jsonSchema(suite.SCHEMA) }) };

function openai(base = suite.GATEWAY, more = {}) {
  return createOpenAI({ baseURL: `${base}/openai`, apiKey: "sk-client", ...more });
}

const generate = (model, more = {}) => generateText({ model, prompt, maxRetries: 0, ...more });

function checkGenerated({ text, usage }) {
  checkText(text, name);
  checkCounts(usage.inputTokens, usage.outputTokens);
}

const kinds = [
  ["chat", (client) => client.chat(name)],
  ["responses", (client) => client(name)],
];

for (const [type, of] of kinds) {
  const row = (stream, status, model = name) => ["openai", model, stream, status, type];

  add(`ai ${type}: text`, [row(false, 200)], async () => {
    checkGenerated(await generate(of(openai())));
    await checkSent("Bearer sk-client");
  });

  add(`ai ${type}: stream`, [row(true, 200)], async () => {
    const result = streamText({ model: of(openai()), prompt, maxRetries: 0 });
    checkPieces(await collect(result.textStream), name);
    const usage = await result.usage;
    checkCounts(usage.inputTokens, usage.outputTokens);
  });

  add(`ai ${type}: tools`, [row(false, 200), row(true, 200)], async () => {
    const [call] = (await generate(of(openai()), { tools, headers: suite.TOOL })).toolCalls;
    checkCall(call.toolName, call.input);
    const result = streamText({ model: of(openai()), prompt, tools, headers: suite.TOOL, maxRetries: 0 });
    const [streamed] = await result.toolCalls;
    checkCall(streamed.toolName, streamed.input);
  });

  add(`ai ${type}: provider errors`, [row(false, 400), row(false, 429)], async () => {
    for (const status of [400, 429]) {
      const error = await raises(APICallError, generate(of(openai()), { headers: { "x-mock": `status=${status}` } }));
      assert.equal(error.statusCode, status);
      assert.equal(error.message, `the mock was asked for status ${status}`);
    }
  });

  add(`ai ${type}: gateway errors`, [[null, null, false, 400, null], row(false, 401, null)], async () => {
    for (const [base, status] of [[suite.UNKNOWN, 400], [suite.LOCKED, 401]]) {
      const error = await raises(APICallError, generate(of(openai(base))));
      assert.equal(error.statusCode, status);
    }
  });

  add(`ai ${type}: token beside and in place of the key`, [row(false, 200), row(false, 200)], async () => {
    checkGenerated(await generate(of(openai(suite.LOCKED, { headers: suite.BESIDE }))));
    await checkSent("Bearer sk-client");
    checkGenerated(await generate(of(openai(suite.LOCKED, { apiKey: suite.TOKEN }))));
    await checkSent();
  });
}

add("ai: embeddings", [["openai", embed, false, 200, "embeddings"]], async () => {
  const { embeddings } = await embedMany({ model: openai().embedding(embed), values: ["one", "two"], maxRetries: 0 });
  assert.deepEqual(embeddings.map((numbers) => numbers.length), [16, 16]);
});
