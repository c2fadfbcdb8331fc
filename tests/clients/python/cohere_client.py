"""The cohere package."""

import cohere
from cohere.errors import BadRequestError, TooManyRequestsError, UnauthorizedError

from suite import *

MODEL = "command-a-03-2025"
EMBED = "embed-v4.0"
RERANK = "rerank-v3.5"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ASK = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
PLAIN = ("cohere", MODEL, False, 200, "chat")


def client(base=GATEWAY, key="co-client"):
    return cohere.ClientV2(api_key=key, base_url=f"{base}/cohere", max_retries=0)


def more(headers):
    return {"request_options": {"additional_headers": headers, "max_retries": 0}}


@case("cohere: chat", PLAIN)
def _():
    answer = client().chat(**ASK)
    check_text(answer.message.content[0].text, MODEL)
    check_counts(answer.usage.tokens.input_tokens, answer.usage.tokens.output_tokens)
    check_sent(["Bearer co-client", '"/v2/chat"'])


@case("cohere: stream", ("cohere", MODEL, True, 200, "chat"))
def _():
    events = list(client().chat_stream(**ASK))
    deltas = [event for event in events if event.type == "content-delta"]
    check_pieces([event.delta.message.content.text for event in deltas], MODEL)
    usage = events[-1].delta.usage.tokens
    check_counts(usage.input_tokens, usage.output_tokens)


@case("cohere: tools", PLAIN)
def _():
    call = client().chat(**ASK, tools=TOOLS, **more(TOOL)).message.tool_calls[0].function
    check_arguments(call.name, call.arguments)


@case(
    "cohere: embeddings, rerank",
    ("cohere", EMBED, False, 200, "embeddings"),
    ("cohere", RERANK, False, 200, "rerank"),
)
def _():
    ask = {"input_type": "search_query", "embedding_types": ["float"]}
    answer = client().embed(model=EMBED, texts=["one", "two"], **ask)
    assert len(answer.embeddings.float_) == 2
    ranked = client().rerank(model=RERANK, query="one", documents=["one", "two", "three"], top_n=2)
    assert [result.index for result in ranked.results] == [0, 1]


@case("cohere: chat of the first API version", PLAIN)
def _():
    first = cohere.Client(api_key="co-client", base_url=f"{GATEWAY}/cohere")
    check_text(first.chat(model=MODEL, message=PROMPT).text, MODEL)
    check_sent(['"/v1/chat"'])


@case("cohere: provider errors", ("cohere", MODEL, False, 400, "chat"), ("cohere", MODEL, False, 429, "chat"))
def _():
    for status, kind in {400: BadRequestError, 429: TooManyRequestsError}.items():
        error = raises(kind, lambda: client().chat(**ASK, **more({"x-mock": f"status={status}"})))
        assert error.body["message"] == f"the mock was asked for status {status}", error.body


@case("cohere: gateway errors", (None, None, False, 400, None), ("cohere", None, False, 401, "chat"))
def _():
    raises(BadRequestError, lambda: client(UNKNOWN).chat(**ASK))
    raises(UnauthorizedError, lambda: client(LOCKED).chat(**ASK))


@case("cohere: token beside and in place of the key", PLAIN, PLAIN)
def _():
    client(LOCKED).chat(**ASK, **more({"cf-aig-authorization": f"Bearer {TOKEN}"}))
    check_sent(["Bearer co-client"])
    client(LOCKED, TOKEN).chat(**ASK)
    check_sent()
