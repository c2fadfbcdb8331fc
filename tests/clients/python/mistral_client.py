"""The mistralai package."""

from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from suite import *

MODEL = "mistral-small-latest"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
ASK = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}
PLAIN = ("mistral", MODEL, False, 200, "chat")


def client(base=GATEWAY, key="ms-client"):
    return Mistral(api_key=key, server_url=f"{base}/mistral")


@case("mistral: chat", PLAIN)
def _():
    answer = client().chat.complete(**ASK)
    check_text(answer.choices[0].message.content, MODEL)
    check_counts(answer.usage.prompt_tokens, answer.usage.completion_tokens)
    check_sent(["Bearer ms-client", '"/v1/chat/completions"'])


@case("mistral: stream", ("mistral", MODEL, True, 200, "chat"))
def _():
    chunks = [event.data for event in client().chat.stream(**ASK)]
    check_pieces([part for chunk in chunks if (part := chunk.choices[0].delta.content)], MODEL)


@case("mistral: tools", PLAIN)
def _():
    call = client().chat.complete(**ASK, tools=TOOLS, http_headers=TOOL).choices[0].message.tool_calls[0].function
    check_arguments(call.name, call.arguments)


@case("mistral: embeddings", ("mistral", "mistral-embed", False, 200, "embeddings"))
def _():
    assert len(client().embeddings.create(model="mistral-embed", inputs=["one", "two"]).data) == 2


@case("mistral: completion in the middle", ("mistral", "codestral-latest", False, 200, "completion"))
def _():
    answer = client().fim.complete(model="codestral-latest", prompt="def f(", suffix="return 1")
    check_text(answer.choices[0].message.content, "codestral-latest")


@case("mistral: provider errors", ("mistral", MODEL, False, 400, "chat"), ("mistral", MODEL, False, 429, "chat"))
def _():
    for status in (400, 429):
        fault = {"x-mock": f"status={status}"}
        error = raises(SDKError, lambda: client().chat.complete(**ASK, http_headers=fault))
        assert error.status_code == status and f"asked for status {status}" in error.body, error


@case("mistral: gateway errors", (None, None, False, 400, None), ("mistral", None, False, 401, "chat"))
def _():
    assert raises(SDKError, lambda: client(UNKNOWN).chat.complete(**ASK)).status_code == 400
    assert raises(SDKError, lambda: client(LOCKED).chat.complete(**ASK)).status_code == 401


@case("mistral: token beside and in place of the key", PLAIN, PLAIN)
def _():
    client(LOCKED).chat.complete(**ASK, http_headers={"cf-aig-authorization": f"Bearer {TOKEN}"})
    check_sent(["Bearer ms-client"])
    client(LOCKED, TOKEN).chat.complete(**ASK)
    check_sent()
