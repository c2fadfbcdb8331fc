"""The openai package: OpenAI's client and Azure's."""

import openai
from openai import AzureOpenAI, OpenAI

from suite import *

MODEL = "gpt-4o-mini"
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
FLAT_TOOLS = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": True}]
ASK = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}


def client(base=GATEWAY, key="sk-client", **more):
    return OpenAI(base_url=f"{base}/openai", api_key=key, max_retries=0, **more)


def chat(client, **more):
    return client.chat.completions.create(**{**ASK, **more})


def check_chat(answer, model=MODEL):
    check_text(answer.choices[0].message.content, model)
    check_counts(answer.usage.prompt_tokens, answer.usage.completion_tokens)


def check_stream(chunks, model=MODEL):
    chunks = list(chunks)
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    check_pieces([delta.content for delta in deltas if delta.content], model)
    usage = chunks[-1].usage
    check_counts(usage.prompt_tokens, usage.completion_tokens)


@case("openai: chat", ("openai", MODEL, False, 200, "chat"))
def _():
    check_chat(chat(client()))
    check_sent(["Bearer sk-client"])


@case("openai: chat at a listener of one gateway", ("openai", MODEL, False, 200, "chat"))
def _():
    check_chat(chat(client(SHORT_URL)))


@case("openai: chat with v1 in the base URL", ("openai", MODEL, False, 200, "chat"))
def _():
    with_version = OpenAI(base_url=f"{GATEWAY}/openai/v1", api_key="sk-client", max_retries=0)
    check_chat(chat(with_version))


@case("openai: chat answer with the gateway's header fields", ("openai", MODEL, False, 200, "chat"))
def _():
    raw = client().chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["cf-aig-log-id"] and raw.headers["x-request-id"].startswith("req_mock")
    check_chat(raw.parse())


@case("openai: chat stream", ("openai", MODEL, True, 200, "chat"))
def _():
    check_stream(chat(client(), stream=True, stream_options={"include_usage": True}))


@case(
    "openai: chat stream that the provider leaves open at its end",
    *[("openai", MODEL, True, 200, "chat")] * 2,
    known="the SDK hangs up at [DONE], which the log takes for a client that left early",
)
def _():
    # The gateway asks for usage where the client does not: the provider sends as much both times.
    asked = dict(stream=True, stream_options={"include_usage": True})
    with client().chat.completions.with_streaming_response.create(**ASK, **asked) as whole:
        length = len(whole.read())
    chunks = list(chat(client(), stream=True, extra_headers={"x-mock": f"hang-at={length}"}))
    assert chunks[-1].choices[0].finish_reason == "stop"


@case("openai: chat stream, unasked for usage", ("openai", MODEL, True, 200, "chat"))
def _():
    chunks = list(chat(client(), stream=True))
    assert all(chunk.choices and not chunk.usage for chunk in chunks)


@case("openai: chat stream through the event helper", ("openai", MODEL, True, 200, "chat"))
def _():
    with client().chat.completions.stream(**ASK) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        check_pieces(pieces, MODEL)
        assert stream.get_final_completion().choices[0].message.content == "".join(pieces)


@case("openai: chat compressed", *[("openai", MODEL, False, 200, "chat")] * 2)
def _():
    for coding in ("gzip", "deflate"):
        check_chat(chat(client(), extra_headers={"x-mock": coding}))


@case("openai: tools", ("openai", MODEL, False, 200, "chat"), ("openai", MODEL, True, 200, "chat"))
def _():
    choice = chat(client(), tools=TOOLS, extra_headers=TOOL).choices[0]
    call = choice.message.tool_calls[0].function
    assert choice.finish_reason == "tool_calls"
    check_arguments(call.name, call.arguments)
    chunks = list(chat(client(), tools=TOOLS, stream=True, extra_headers=TOOL))
    calls = [chunk.choices[0].delta.tool_calls[0].function for chunk in chunks if chunk.choices[0].delta.tool_calls]
    check_arguments(calls[0].name, "".join(call.arguments for call in calls))


@case("openai: responses", ("openai", MODEL, False, 200, "responses"))
def _():
    answer = client().responses.create(model=MODEL, input=PROMPT)
    check_text(answer.output_text, MODEL)
    check_counts(answer.usage.input_tokens, answer.usage.output_tokens)


@case("openai: responses stream, and one split at every byte", *[("openai", MODEL, True, 200, "responses")] * 2)
def _():
    for headers in ({}, {"x-mock": "split=byte"}):
        events = list(client().responses.create(model=MODEL, input=PROMPT, stream=True, extra_headers=headers))
        check_pieces([event.delta for event in events if event.type == "response.output_text.delta"], MODEL)
        usage = events[-1].response.usage
        check_counts(usage.input_tokens, usage.output_tokens)


@case("openai: responses tools", ("openai", MODEL, False, 200, "responses"))
def _():
    answer = client().responses.create(model=MODEL, input=PROMPT, tools=FLAT_TOOLS, extra_headers=TOOL)
    check_arguments(answer.output[0].name, answer.output[0].arguments)


EMBED = "text-embedding-3-small"


@case("openai: embeddings", *[("openai", EMBED, False, 200, "embeddings")] * 2)
def _():
    ask = {"model": EMBED, "input": ["one", "two"], "dimensions": 8}
    packed = client().embeddings.create(**ask)
    assert [len(item.embedding) for item in packed.data] == [8, 8] and packed.usage.prompt_tokens > 0
    plain = client().embeddings.create(**ask, encoding_format="float")
    assert all(-1 <= number <= 1 for item in packed.data + plain.data for number in item.embedding)


@case("openai: models", ("openai", None, False, 200, "other"))
def _():
    assert MODEL in [model.id for model in client().models.list()]


@case("openai: transcription of an uploaded file", ("openai", None, False, 200, "transcription"))
def _():
    file = ("speech.wav", b"RIFF" + bytes(200_000))
    assert client().audio.transcriptions.create(model="whisper-1", file=file).text


@case("openai: provider errors", *[("openai", MODEL, False, status, "chat") for status in (400, 401, 404, 429, 500)])
def _():
    kinds = {
        400: openai.BadRequestError,
        401: openai.AuthenticationError,
        404: openai.NotFoundError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
    }
    for status, kind in kinds.items():
        fault = {"x-mock": f"status={status},retry-after=1"}
        error = raises(kind, lambda: chat(client(), extra_headers=fault))
        assert error.body["message"] == f"the mock was asked for status {status}", error.body
        assert error.response.headers["retry-after"] == "1"


@case("openai: retries of its own", ("openai", MODEL, False, 429, "chat"), ("openai", MODEL, False, 429, "chat"))
def _():
    fault = {"x-mock": "status=429,retry-after=0"}
    raises(openai.RateLimitError, lambda: chat(client().with_options(max_retries=1), extra_headers=fault))


@case("openai: error in the stream", ("openai", MODEL, True, 200, "chat"))
def _():
    fault = {"x-mock": "error-event,chunks-before=2"}
    raises(openai.APIError, lambda: list(chat(client(), stream=True, extra_headers=fault)))


@case("openai: unknown gateway", (None, None, False, 400, None))
def _():
    error = raises(openai.BadRequestError, lambda: chat(client(UNKNOWN)))
    assert error.response.json()["error"][0]["code"] == 2001


@case("openai: no token, a wrong one", *[("openai", None, False, 401, "chat")] * 2)
def _():
    wrong = {"cf-aig-authorization": "Bearer wrong-gateway-token"}
    for more in ({}, {"default_headers": wrong}):
        error = raises(openai.AuthenticationError, lambda: chat(client(LOCKED, **more)))
        assert error.response.json()["error"][0]["code"] == 2009


@case("openai: token beside the key", ("openai", MODEL, False, 200, "chat"), ("openai", MODEL, True, 200, "chat"))
def _():
    beside = client(LOCKED, default_headers={"cf-aig-authorization": f"Bearer {TOKEN}"})
    check_chat(chat(beside))
    check_sent(["Bearer sk-client"])
    check_stream(chat(beside, stream=True, stream_options={"include_usage": True}))


@case("openai: token in place of the key", ("openai", MODEL, False, 200, "chat"))
def _():
    check_chat(chat(client(LOCKED, key=TOKEN)))
    check_sent()


def azure(base=GATEWAY, key="azure-key", **more):
    endpoint = f"{base}/azure-openai/my-resource"
    return AzureOpenAI(azure_endpoint=endpoint, api_key=key, api_version="2024-10-21", max_retries=0, **more)


@case("azure: chat, stream", ("azure-openai", MODEL, False, 200, "chat"), ("azure-openai", MODEL, True, 200, "chat"))
def _():
    check_chat(chat(azure()))
    check_sent(["azure-key", f"/openai/deployments/{MODEL}/chat/completions", "api-version=2024-10-21"])
    check_stream(chat(azure(), stream=True, stream_options={"include_usage": True}))


@case("azure: chat at a base URL with the deployment", ("azure-openai", "my-deployment", False, 200, "chat"))
def _():
    base = f"{GATEWAY}/azure-openai/my-resource/my-deployment"
    bound = AzureOpenAI(base_url=base, api_key="azure-key", api_version="2024-10-21", max_retries=0)
    check_chat(chat(bound))


@case("azure: tools", ("azure-openai", MODEL, False, 200, "chat"))
def _():
    call = chat(azure(), tools=TOOLS, extra_headers=TOOL).choices[0].message.tool_calls[0].function
    check_arguments(call.name, call.arguments)


@case("azure: embeddings", ("azure-openai", EMBED, False, 200, "embeddings"))
def _():
    assert len(azure().embeddings.create(model=EMBED, input="one").data) == 1


@case("azure: errors", ("azure-openai", MODEL, False, 429, "chat"), ("azure-openai", MODEL, False, 401, "chat"))
def _():
    raises(openai.RateLimitError, lambda: chat(azure(), extra_headers={"x-mock": "status=429"}))
    raises(openai.AuthenticationError, lambda: chat(azure(LOCKED)))


@case("azure: token beside and in place of the key", *[("azure-openai", MODEL, False, 200, "chat")] * 2)
def _():
    check_chat(chat(azure(LOCKED, default_headers={"cf-aig-authorization": TOKEN})))
    check_sent(["azure-key"])
    check_chat(chat(azure(LOCKED, key=TOKEN)))
    check_sent()
