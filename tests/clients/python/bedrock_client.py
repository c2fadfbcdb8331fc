"""The boto3 package's bedrock-runtime client, which signs what it sends."""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from suite import *

MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"
EMBED = "amazon.titan-embed-text-v2:0"
ASK = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": PROMPT}]}]}
TOOLS = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]}
MESSAGE = {"role": "user", "content": PROMPT}
BODY = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 1024, "messages": [MESSAGE]}
PLAIN = ("aws-bedrock", MODEL, False, 200, "chat")


def client(base=GATEWAY, headers=()):
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{base}/aws-bedrock/bedrock-runtime/us-east-1",
        aws_access_key_id="AKIACLIENT",
        aws_secret_access_key="client-secret",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def add(request, **_):
        for name, value in dict(headers).items():
            request.headers[name] = value

    # After signing: the gateway takes its own fields away, and what is signed must reach Bedrock.
    made.meta.events.register("before-send.bedrock-runtime", add)
    return made


def error_of(call):
    """Code and status of the error that the SDK raises; no status where a stream had begun."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    raise AssertionError("raised no ClientError")


@case("bedrock: converse", PLAIN)
def _():
    answer = client().converse(**ASK)
    check_text(answer["output"]["message"]["content"][0]["text"], MODEL)
    check_counts(answer["usage"]["inputTokens"], answer["usage"]["outputTokens"])
    check_sent(["AWS4-HMAC-SHA256 Credential=AKIACLIENT", "/model/anthropic.claude-sonnet-4-20250514-v1%3A0/converse"])


@case("bedrock: converse stream", ("aws-bedrock", MODEL, True, 200, "chat"))
def _():
    events = list(client().converse_stream(**ASK)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    check_pieces([delta["text"] for delta in deltas], MODEL)
    usage = events[-1]["metadata"]["usage"]
    check_counts(usage["inputTokens"], usage["outputTokens"])


@case("bedrock: tools", PLAIN)
def _():
    answer = client(headers=TOOL).converse(**ASK, toolConfig=TOOLS)
    call = answer["output"]["message"]["content"][0]["toolUse"]
    check_arguments(call["name"], call["input"])


@case("bedrock: invoke", ("aws-bedrock", MODEL, False, 200, "inference"))
def _():
    answer = client().invoke_model(modelId=MODEL, body=json.dumps(BODY))
    check_text(json.loads(answer["body"].read())["content"][0]["text"], MODEL)
    counts = answer["ResponseMetadata"]["HTTPHeaders"]
    names = ["x-amzn-bedrock-input-token-count", "x-amzn-bedrock-output-token-count"]
    check_counts(*(int(counts[name]) for name in names))


@case("bedrock: invoke stream", ("aws-bedrock", MODEL, True, 200, "inference"))
def _():
    answer = client().invoke_model_with_response_stream(modelId=MODEL, body=json.dumps(BODY))
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    check_pieces([event["delta"]["text"] for event in events if event["type"] == "content_block_delta"], MODEL)
    usage = events[-1]["amazon-bedrock-invocationMetrics"]
    check_counts(usage["inputTokenCount"], usage["outputTokenCount"])


@case("bedrock: embeddings", ("aws-bedrock", EMBED, False, 200, "inference"))
def _():
    answer = client().invoke_model(modelId=EMBED, body=json.dumps({"inputText": "one"}))
    assert len(json.loads(answer["body"].read())["embedding"]) == 16


@case("bedrock: provider errors", *[("aws-bedrock", MODEL, False, status, "chat") for status in (400, 429)])
def _():
    for status, code in {400: "ValidationException", 429: "ThrottlingException"}.items():
        failing = client(headers={"x-mock": f"status={status}"})
        assert error_of(lambda: failing.converse(**ASK)) == (code, status)


@case("bedrock: error in the stream", ("aws-bedrock", MODEL, True, 200, "chat"))
def _():
    failing = client(headers={"x-mock": "error-event,chunks-before=2"})
    code, _ = error_of(lambda: list(failing.converse_stream(**ASK)["stream"]))
    assert code == "internalServerException", code


@case("bedrock: gateway errors", (None, None, False, 400, None), ("aws-bedrock", MODEL, False, 401, "chat"))
def _():
    assert error_of(lambda: client(UNKNOWN).converse(**ASK))[1] == 400
    assert error_of(lambda: client(LOCKED).converse(**ASK))[1] == 401


@case("bedrock: token beside the signature", PLAIN)
def _():
    beside = client(LOCKED, {"cf-aig-authorization": f"Bearer {TOKEN}"})
    check_text(beside.converse(**ASK)["output"]["message"]["content"][0]["text"], MODEL)
    check_sent(["AWS4-HMAC-SHA256"])
