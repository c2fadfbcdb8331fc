// The cases of a run: each is done, and its lines in the gateway's log are compared.

import assert from "node:assert/strict";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export const { TOLLGATE_URL, TOLLGATE_TOKEN: TOKEN, TOLLGATE_MOCK, TOLLGATE_LOG } = process.env;
export const GATEWAY = `${TOLLGATE_URL}/default`;
export const LOCKED = `${TOLLGATE_URL}/locked`;
export const UNKNOWN = `${TOLLGATE_URL}/no-such-gateway`;
export const BESIDE = { "cf-aig-authorization": `Bearer ${TOKEN}` };
export const TOOL = { "x-mock": "tool" };
export const PROMPT = "Where is the café “东”?";
export const SCHEMA = {
  type: "object",
  properties: { city: { type: "string" }, query: { type: "string" } },
  required: ["city", "query"],
  additionalProperties: false,
};

const LOG_MS_MAX = 5000;
const cases = [];

/** Adds a case. Its rows are what the log must say: provider, model, stream, status, type. */
export function add(name, rows, action) {
  cases.push({ name, rows, action });
}

/** Does every case, one line each; the number of failures. */
export async function run() {
  const log = new Log(TOLLGATE_LOG);
  let failures = 0;
  for (const { name, rows, action } of cases) {
    try {
      await action();
      await compare(log, rows);
      console.log(`ok node ${name}`);
    } catch (error) {
      // The lines of a case that failed must not count for the next one.
      await sleep(200);
      log.read();
      failures += 1;
      console.log(`FAIL node ${name}: ${JSON.stringify(error?.stack ?? String(error))}`);
    }
  }
  return failures;
}

/** What the gateway's log says since it was last read. */
class Log {
  constructor(path) {
    this.file = path;
    this.at = statSync(path).size;
  }

  read() {
    const bytes = Buffer.alloc(Math.max(0, statSync(this.file).size - this.at));
    const descriptor = openSync(this.file, "r");
    this.at += readSync(descriptor, bytes, 0, bytes.length, this.at);
    closeSync(descriptor);
    return bytes.toString();
  }
}

async function compare(log, rows) {
  const until = Date.now() + LOG_MS_MAX;
  let text = "";
  do {
    text += log.read();
    await sleep(5);
  } while (text.split("\n").length <= rows.length && Date.now() < until);
  const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const found = lines.map((line) => [line.provider, line.model, line.stream, line.status_code, line.model_type]);
  assert.deepEqual(found, rows, "the log says otherwise");
  for (const { end, refusal } of lines) {
    const expect = refusal ? "refused" : "complete";
    assert.equal(end, expect, `the log says that it ended as ${end} with the refusal ${refusal}`);
  }
}

/** The mock's whole answer, which holds quotes, a line feed and characters of 1 to 4 bytes. */
export function checkText(text, model) {
  const words = /^The mock read \d+ bytes for “(.+)” and answers [0-9a-f]{8}: naïve, 東京, "quoted"\n🚀\.$/;
  assert.equal(words.exec(text)?.[1], model, text);
}

/** The same in pieces. */
export function checkPieces(pieces, model) {
  assert(pieces.length > 1, "one piece");
  checkText(pieces.join(""), model);
}

/** The mock's call of a tool; its input is an object or its JSON. */
export function checkCall(name, input) {
  const { city, query } = typeof input === "string" ? JSON.parse(input) : input;
  assert.equal(name, "weather");
  assert.equal(city, "Zürich");
  assert.match(query, /^mock /);
}

export function checkCounts(tokensIn, tokensOut) {
  assert(tokensIn > 0 && tokensOut > 10, `${tokensIn} in, ${tokensOut} out`);
}

/** The error, of exactly this kind, that a promise ends in. */
export async function raises(kind, promise) {
  let error;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert.equal(error?.constructor.name, kind.name, String(error));
  return error;
}

/** All that an async iterable gives. */
export async function collect(iterable) {
  const all = [];
  for await (const one of iterable) all.push(one);
  return all;
}

/** What the provider got last: a text that must be in its head; the gateway's own must not. */
export async function checkSent(present) {
  const answer = await fetch(`${TOLLGATE_MOCK}/__mock/last`);
  const head = (await answer.text()).toLowerCase();
  assert(!present || head.includes(present.toLowerCase()), `${present} did not reach the provider`);
  for (const absent of [TOKEN, "cf-aig-"]) assert(!head.includes(absent), `${absent} reached the provider`);
}
