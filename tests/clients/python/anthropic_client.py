"""The anthropic package: Anthropic's client, Bedrock's and Vertex's."""

import anthropic
from anthropic import Anthropic, AnthropicBedrock, AnthropicVertex

from suite import *

MODEL = "claude-sonnet-4-5"
TOOLS = [{"name": "weather", "input_schema": SCHEMA}]
ASK = {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": PROMPT}]}
PLAIN = ("anthropic", MODEL, False, 200, "chat")
STREAM = ("anthropic", MODEL, True, 200, "chat")


def client(base=GATEWAY, key="sk-ant-client", **more):
    return Anthropic(base_url=f"{base}/anthropic", api_key=key, max_retries=0, **more)


def message(client, **more):
    return client.messages.create(**{**ASK, **more})


def check_message(answer, model=MODEL):
    check_text(answer.content[0].text, model)
    check_counts(answer.usage.input_tokens, answer.usage.output_tokens)
    assert answer.stop_reason == "end_turn"


def check_events(events, model=MODEL):
    events = list(events)
    pieces = [event.delta.text for event in events if event.type == "content_block_delta"]
    check_pieces(pieces, model)
    counts = {event.type: event for event in events}
    check_counts(counts["message_start"].message.usage.input_tokens, counts["message_delta"].usage.output_tokens)


@case("anthropic: message", PLAIN)
def _():
    check_message(message(client()))
    check_sent(["sk-ant-client", "anthropic-version"])


@case("anthropic: message with the key in the older field", PLAIN)
def _():
    older = {"x-api-key": "sk-ant-older", "authorization": anthropic.Omit()}
    check_message(message(client(), extra_headers=older))
    check_sent(["x-api-key", "sk-ant-older"])


@case("anthropic: stream, and one split at every byte", STREAM, STREAM)
def _():
    check_events(message(client(), stream=True))
    check_events(message(client(), stream=True, extra_headers={"x-mock": "split=byte"}))


@case("anthropic: stream through the helper", STREAM)
def _():
    with client().messages.stream(**ASK) as stream:
        pieces = list(stream.text_stream)
        check_pieces(pieces, MODEL)
        check_message(stream.get_final_message())


@case("anthropic: tools", PLAIN, STREAM)
def _():
    block = message(client(), tools=TOOLS, extra_headers=TOOL).content[0]
    check_arguments(block.name, block.input)
    with client().messages.stream(**ASK, tools=TOOLS, extra_headers=TOOL) as stream:
        block = stream.get_final_message().content[0]
    check_arguments(block.name, block.input)


@case("anthropic: count of tokens", ("anthropic", MODEL, False, 200, "count_tokens"))
def _():
    assert client().messages.count_tokens(model=MODEL, messages=ASK["messages"]).input_tokens > 0


@case("anthropic: models", ("anthropic", None, False, 200, "other"))
def _():
    assert MODEL in [model.id for model in client().models.list()]


ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    429: anthropic.RateLimitError,
    529: anthropic.APIStatusError,
}


@case("anthropic: provider errors", *[("anthropic", MODEL, False, status, "chat") for status in ERRORS])
def _():
    for status, kind in ERRORS.items():
        fault = {"x-mock": f"status={status}"}
        try:
            message(client(), extra_headers=fault)
            raise AssertionError(f"raised no {kind.__name__}")
        except kind as error:
            assert error.status_code == status
            assert error.body["error"]["message"] == f"the mock was asked for status {status}", error.body


@case("anthropic: error in the stream", STREAM)
def _():
    fault = {"x-mock": "error-event,chunks-before=2"}
    try:
        list(message(client(), stream=True, extra_headers=fault))
        raise AssertionError("raised nothing")
    except anthropic.APIStatusError as error:
        assert error.body["error"]["type"] == "overloaded_error", error.body


@case("anthropic: gateway errors", (None, None, False, 400, None), ("anthropic", None, False, 401, "chat"))
def _():
    error = raises(anthropic.BadRequestError, lambda: message(client(UNKNOWN)))
    assert error.response.json()["error"][0]["code"] == 2001
    error = raises(anthropic.AuthenticationError, lambda: message(client(LOCKED)))
    assert error.response.json()["error"][0]["code"] == 2009


@case("anthropic: token beside the key", PLAIN, STREAM)
def _():
    beside = client(LOCKED, default_headers={"cf-aig-authorization": f"Bearer {TOKEN}"})
    check_message(message(beside))
    check_sent(["sk-ant-client"])
    check_events(message(beside, stream=True))


@case("anthropic: token in place of the key", PLAIN, PLAIN)
def _():
    check_message(message(client(LOCKED, key=TOKEN)))
    check_sent()
    older = {"x-api-key": TOKEN, "authorization": anthropic.Omit()}
    check_message(message(client(LOCKED), extra_headers=older))
    check_sent()


BEDROCK_MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"


SIGNED = {"aws_access_key": "AKIACLIENT", "aws_secret_key": "client-secret"}


def bedrock(base=GATEWAY, credentials=SIGNED, **more):
    url = f"{base}/aws-bedrock/bedrock-runtime/us-east-1"
    return AnthropicBedrock(base_url=url, aws_region="us-east-1", max_retries=0, **credentials, **more)


@case(
    "anthropic at bedrock: message, stream, error",
    ("aws-bedrock", BEDROCK_MODEL, False, 200, "inference"),
    ("aws-bedrock", BEDROCK_MODEL, True, 200, "inference"),
    ("aws-bedrock", BEDROCK_MODEL, False, 429, "inference"),
)
def _():
    check_message(message(bedrock(), model=BEDROCK_MODEL), BEDROCK_MODEL)
    check_sent(["AWS4-HMAC-SHA256 Credential=AKIACLIENT"])
    check_events(message(bedrock(), model=BEDROCK_MODEL, stream=True), BEDROCK_MODEL)
    fault = {"x-mock": "status=429"}
    raises(anthropic.RateLimitError, lambda: message(bedrock(), model=BEDROCK_MODEL, extra_headers=fault))


@case(
    "anthropic at bedrock: no token, token beside the signature and in place of the key",
    ("aws-bedrock", BEDROCK_MODEL, False, 401, "inference"),
    ("aws-bedrock", BEDROCK_MODEL, False, 200, "inference"),
    ("aws-bedrock", BEDROCK_MODEL, False, 200, "inference"),
)
def _():
    raises(anthropic.AuthenticationError, lambda: message(bedrock(LOCKED), model=BEDROCK_MODEL))
    beside = bedrock(LOCKED, default_headers={"cf-aig-authorization": TOKEN})
    check_message(message(beside, model=BEDROCK_MODEL), BEDROCK_MODEL)
    check_message(message(bedrock(LOCKED, {"api_key": TOKEN}), model=BEDROCK_MODEL), BEDROCK_MODEL)
    check_sent()


VERTEX_MODEL = "claude-sonnet-4-5@20250929"


def vertex(base=GATEWAY, token="ya29.client", **more):
    url = f"{base}/google-vertex-ai/v1"
    place = {"region": "us-east5", "project_id": "my-project"}
    return AnthropicVertex(base_url=url, access_token=token, max_retries=0, **place, **more)


@case(
    "anthropic at vertex: message, stream, error",
    ("google-vertex-ai", VERTEX_MODEL, False, 200, "chat"),
    ("google-vertex-ai", VERTEX_MODEL, True, 200, "chat"),
    ("google-vertex-ai", VERTEX_MODEL, False, 429, "chat"),
)
def _():
    check_message(message(vertex(), model=VERTEX_MODEL), VERTEX_MODEL)
    check_sent(["Bearer ya29.client"])
    check_events(message(vertex(), model=VERTEX_MODEL, stream=True), VERTEX_MODEL)
    fault = {"x-mock": "status=429"}
    raises(anthropic.RateLimitError, lambda: message(vertex(), model=VERTEX_MODEL, extra_headers=fault))


@case(
    "anthropic at vertex: no token, token beside and in place of the key",
    ("google-vertex-ai", VERTEX_MODEL, False, 401, "chat"),
    ("google-vertex-ai", VERTEX_MODEL, False, 200, "chat"),
    ("google-vertex-ai", VERTEX_MODEL, False, 200, "chat"),
)
def _():
    raises(anthropic.AuthenticationError, lambda: message(vertex(LOCKED), model=VERTEX_MODEL))
    beside = {"cf-aig-authorization": f"Bearer {TOKEN}"}
    message(vertex(LOCKED, default_headers=beside), model=VERTEX_MODEL)
    check_sent(["Bearer ya29.client"])
    message(vertex(LOCKED, token=TOKEN), model=VERTEX_MODEL)
    check_sent()
