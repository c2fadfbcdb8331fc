"""The google-genai package: AI Studio and Vertex."""

from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from suite import *

MODEL = "gemini-2.5-flash"
EMBED = "gemini-embedding-001"
TOOLS = [{"function_declarations": [{"name": "weather", "parameters_json_schema": SCHEMA}]}]


def options(url, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return types.HttpOptions(base_url=url, headers=headers)


def studio(base=GATEWAY, key="AIza-client", **headers):
    return genai.Client(api_key=key, http_options=options(f"{base}/google-ai-studio", **headers))


def vertex(base=GATEWAY, token="ya29.client", **headers):
    place = {"vertexai": True, "project": "my-project", "location": "us-central1"}
    http_options = options(f"{base}/google-vertex-ai", **headers)
    return genai.Client(credentials=Credentials(token), http_options=http_options, **place)


def generate(client, **config):
    return client.models.generate_content(model=MODEL, contents=PROMPT, config=config)


def mocked(faults):
    return {"http_options": {"headers": {"x-mock": faults}}}


def check_generated(answer):
    check_text(answer.text, MODEL)
    usage = answer.usage_metadata
    check_counts(usage.prompt_token_count, usage.candidates_token_count)


def check_chunks(client):
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=PROMPT))
    check_pieces([chunk.text for chunk in chunks], MODEL)
    usage = chunks[-1].usage_metadata
    check_counts(usage.prompt_token_count, usage.candidates_token_count)


def check_call(client):
    no_loop = {"automatic_function_calling": {"disable": True}}
    call = generate(client, tools=TOOLS, **no_loop, **mocked("tool")).function_calls[0]
    check_arguments(call.name, call.args)


def check_error(client, status, **config):
    """The message of the error that the SDK raises, its own for a status of the client's fault."""
    error = raises(errors.ClientError, lambda: generate(client, **config))
    assert error.code == status, error
    return str(error)


def both(provider, make, key):
    """The cases that AI Studio and Vertex share."""
    plain = (provider, MODEL, False, 200, "chat")

    @case(f"{provider}: chat", plain)
    def _():
        check_generated(generate(make()))
        check_sent([key])

    @case(f"{provider}: stream", (provider, MODEL, True, 200, "chat"))
    def _():
        check_chunks(make())

    @case(f"{provider}: tools", plain)
    def _():
        check_call(make())

    @case(f"{provider}: provider errors", *[(provider, MODEL, False, status, "chat") for status in (400, 429)])
    def _():
        for status in (400, 429):
            words = check_error(make(), status, **mocked(f"status={status}"))
            assert f"the mock was asked for status {status}" in words, words

    @case(f"{provider}: gateway errors", (None, None, False, 400, None), (provider, MODEL, False, 401, "chat"))
    def _():
        check_error(make(UNKNOWN), 400)
        check_error(make(LOCKED), 401)

    @case(f"{provider}: token beside and in place of the key", plain, plain)
    def _():
        check_generated(generate(make(LOCKED, cf_aig_authorization=f"Bearer {TOKEN}")))
        check_sent([key])
        check_generated(generate(make(LOCKED, TOKEN)))
        check_sent()


both("google-ai-studio", studio, "AIza-client")
both("google-vertex-ai", vertex, "Bearer ya29.client")


@case("google-ai-studio: an older API version", ("google-ai-studio", MODEL, False, 200, "chat"))
def _():
    http_options = types.HttpOptions(base_url=f"{GATEWAY}/google-ai-studio", api_version="v1beta")
    check_generated(generate(genai.Client(api_key="AIza-client", http_options=http_options)))
    check_sent([f"/v1beta/models/{MODEL}:generateContent"])


@case("google-ai-studio: embeddings", ("google-ai-studio", EMBED, False, 200, "embeddings"))
def _():
    client = studio()
    answer = client.models.embed_content(model=EMBED, contents=["one", "two"])
    assert [len(item.values) for item in answer.embeddings] == [16, 16]


@case("google-ai-studio: count of tokens", ("google-ai-studio", MODEL, False, 200, "count_tokens"))
def _():
    client = studio()
    assert client.models.count_tokens(model=MODEL, contents=PROMPT).total_tokens > 0


@case("google-vertex-ai: chat with an API key", ("google-vertex-ai", MODEL, False, 200, "chat"))
def _():
    http_options = options(f"{GATEWAY}/google-vertex-ai")
    check_generated(generate(genai.Client(vertexai=True, api_key="AIza-client", http_options=http_options)))
    check_sent(["AIza-client", f"/v1beta1/publishers/google/models/{MODEL}:generateContent"])
