"""The groq package."""

import groq

from suite import *

MODEL = "llama-3.3-70b-versatile"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ASK = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}


def client(base=GATEWAY, key="gsk-client", **more):
    return groq.Groq(base_url=f"{base}/groq", api_key=key, max_retries=0, **more)


def chat(client, **more):
    return client.chat.completions.create(**{**ASK, **more})


@case("groq: chat", ("groq", MODEL, False, 200, "chat"))
def _():
    answer = chat(client())
    check_text(answer.choices[0].message.content, MODEL)
    check_counts(answer.usage.prompt_tokens, answer.usage.completion_tokens)
    check_sent(["Bearer gsk-client", '"/openai/v1/chat/completions"'])


@case("groq: stream", ("groq", MODEL, True, 200, "chat"))
def _():
    chunks = list(chat(client(), stream=True, extra_body={"stream_options": {"include_usage": True}}))
    check_pieces([part for chunk in chunks if chunk.choices and (part := chunk.choices[0].delta.content)], MODEL)
    check_counts(chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens)


@case("groq: tools", ("groq", MODEL, False, 200, "chat"))
def _():
    call = chat(client(), tools=TOOLS, extra_headers=TOOL).choices[0].message.tool_calls[0].function
    check_arguments(call.name, call.arguments)


@case("groq: embeddings", ("groq", "nomic-embed-text-v1_5", False, 200, "embeddings"))
def _():
    answer = client().embeddings.create(model="nomic-embed-text-v1_5", input=["one", "two"])
    assert len(answer.data) == 2


@case("groq: provider errors", ("groq", MODEL, False, 400, "chat"), ("groq", MODEL, False, 429, "chat"))
def _():
    raises(groq.BadRequestError, lambda: chat(client(), extra_headers={"x-mock": "status=400"}))
    raises(groq.RateLimitError, lambda: chat(client(), extra_headers={"x-mock": "status=429"}))


@case("groq: gateway errors", (None, None, False, 400, None), ("groq", None, False, 401, "chat"))
def _():
    raises(groq.BadRequestError, lambda: chat(client(UNKNOWN)))
    raises(groq.AuthenticationError, lambda: chat(client(LOCKED)))


@case("groq: token beside and in place of the key", *[("groq", MODEL, False, 200, "chat")] * 2)
def _():
    chat(client(LOCKED, default_headers={"cf-aig-authorization": f"Bearer {TOKEN}"}))
    check_sent(["Bearer gsk-client"])
    chat(client(LOCKED, key=TOKEN))
    check_sent()
