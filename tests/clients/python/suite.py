"""The cases of a run: each is done, and its lines in the gateway's log are compared."""

import json
import os
import re
import time
import traceback
import urllib.request

URL = os.environ["TOLLGATE_URL"]
SHORT_URL = os.environ["TOLLGATE_SHORT_URL"]
TOKEN = os.environ["TOLLGATE_TOKEN"]
MOCK = os.environ["TOLLGATE_MOCK"]
LOG = os.environ["TOLLGATE_LOG"]

GATEWAY = f"{URL}/default"
LOCKED = f"{URL}/locked"
UNKNOWN = f"{URL}/no-such-gateway"

TOOL = {"x-mock": "tool"}
PROMPT = "Where is the café “东”?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
LOG_SECONDS_MAX = 5

CASES = []


def case(name, *rows, known=None):
    """Adds a case. Its rows are what the log must say: provider, model, stream, status, type.

    A case that fails for a `known` reason is told but not counted."""

    def add(function):
        CASES.append((name, rows, function, known))
        return function

    return add


def run():
    """Does every case, one line each; the number of failures."""
    failures = 0
    with open(LOG, encoding="utf-8") as log:
        log.seek(0, os.SEEK_END)
        for name, rows, function, known in CASES:
            try:
                function()
                fault = compare(log, rows)
            except Exception as error:
                # The lines of a case that failed must not count for the next one.
                time.sleep(0.2)
                log.read()
                fault = show(error)
            if fault is None:
                print(f"ok python {name}", flush=True)
            elif known:
                print(f"known python {name}: {known}", flush=True)
            else:
                failures += 1
                print(f"FAIL python {name}: {fault!r}", flush=True)
    return failures


def show(error):
    """An error, and the line of ours that it came through last."""
    here = os.path.dirname(__file__)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(here)]
    return f"{os.path.basename(own[-1].filename)}:{own[-1].lineno}: {type(error).__name__}: {error}"


def compare(log, rows):
    """What the log says amiss since the last time, or None."""
    until = time.monotonic() + LOG_SECONDS_MAX
    text = ""
    while text.count("\n") < len(rows) and time.monotonic() < until:
        text += log.read()
        time.sleep(0.005)
    lines = [json.loads(line) for line in text.splitlines()]
    keys = ("provider", "model", "stream", "status_code", "model_type")
    found = [tuple(line[key] for key in keys) for line in lines]
    if found != list(rows):
        return f"the log says {found}, not {list(rows)}"
    for line in lines:
        expect = "refused" if line["refusal"] else "complete"
        if line["end"] != expect:
            return f"the log says that it ended as {line['end']} with the refusal {line['refusal']}"
    return None


def check_text(text, model):
    """The mock's whole answer, which holds quotes, a line feed and characters of 1 to 4 bytes."""
    words = r"The mock read \d+ bytes for “(.+)” and answers [0-9a-f]{8}: naïve, 東京, \"quoted\"\n🚀\."
    found = re.fullmatch(words, text)
    assert found and found[1] == model, text


def check_pieces(pieces, model):
    """The same in pieces."""
    assert len(pieces) > 1, pieces
    check_text("".join(pieces), model)


def check_arguments(name, arguments):
    """The mock's call of a tool; arguments are an object or its JSON."""
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    assert name == "weather", name
    assert arguments["city"] == "Zürich" and arguments["query"].startswith("mock "), arguments


def check_counts(tokens_in, tokens_out):
    assert tokens_in > 0 and tokens_out > 10, (tokens_in, tokens_out)


def raises(kind, function):
    """The error of exactly this kind that the function raises."""
    try:
        function()
    except Exception as error:
        assert type(error) is kind, f"raised {type(error).__name__}: {error}"
        return error
    raise AssertionError(f"raised no {kind.__name__}")


def check_sent(present=(), absent=(TOKEN, "cf-aig-")):
    """What the provider got last: texts that must, and that must not, be in its head."""
    with urllib.request.urlopen(f"{MOCK}/__mock/last") as answer:
        head = json.dumps({**json.load(answer), "body": None}).lower()
    for text in present:
        assert text.lower() in head, f"{text} did not reach the provider: {head}"
    for text in absent:
        assert text.lower() not in head, f"{text} reached the provider: {head}"
