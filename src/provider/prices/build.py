#!/usr/bin/env python3
"""Builds book.tsv, the price book, from a prices.json.

    python3 src/provider/prices/build.py PRICES_JSON DATE > src/provider/prices/book.tsv

DATE (YYYY-MM-DD) is the day from which the prices are known to hold. The same input gives the same
output, byte for byte. What tollgate cannot count (pages, video, provisioned hours) is left out.
"""

import json
import re
import sys
from decimal import Decimal

# The source's names for providers, and the catalogue's.
SLUGS = {
    "anthropic": "anthropic",
    "azure": "azure-openai",
    "bedrock": "aws-bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepgram": "deepgram",
    "deepseek": "deepseek",
    "elevenlabs": "elevenlabs",
    "fireworks": "fireworks",
    "gemini": "google-ai-studio",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "perplexity": "perplexity-ai",
    "replicate": "replicate",
    "vertex": "google-vertex-ai",
    "workers-ai": "workers-ai",
    "xai": "grok",
    "baseten": "baseten",
    "fal_ai": "fal",
    "parallel_ai": "parallel",
}
# Where two rows of the source name one model, the later of these wins.
PREFERRED = ["bedrock_mantle", "azure_text", "azure_ai"]

PER_MILLION = {
    "input": "in",
    "output": "out",
    "cache_read": "read",
    "cache_write": "write",
    "cache_write_1h": "write1h",
    "reasoning": "think",
    "input_audio": "audio_in",
    "output_audio": "audio_out",
    "input_image_token": "image_in",
    "output_image_token": "image_out",
}
PER_ONE = ["image", "second", "search", "request"]
ORDER = [*PER_MILLION.values(), "char", *PER_ONE]
TIERS = ["batch", "flex", "balanced", "priority", "ultrafast"]

HEADER = """\
# The price book: one model a line, sorted by provider and model. Written by build.py; do not edit.
# Source: BerriAI/litellm, model_prices_and_context_window.json (MIT, see NOTICE beside this file).
# Columns, by tabs: provider, model in lower case, prices, and sets of prices for special cases, of
# which each that applies replaces what stands to its left.
# US dollars per million: in out read write write1h think audio_in audio_out image_in image_out char
# US dollars for one: image second search request
# Cases: tier=NAME, above=INPUT_TOKENS (of the whole request), context=SEARCH_SIZE, off=UTC windows
# (weekdays, Monday is 1, and hours). regional=FACTOR: token prices at an endpoint bound to a region.
"""


def plain(number, digits):
    """The number without exponent and without zeros that say nothing."""
    text = f"{round(number, digits):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def token_prices(row):
    return {PER_MILLION[k]: row[k] * 1_000_000 for k in PER_MILLION if k in row}


def pixels(model):
    size = re.search(r"(?:^|/)(\d+)-x-(\d+)/", model)
    return int(size[1]) * int(size[2]) if size else None


def unit_prices(row):
    """What is charged by the piece. The source says per input where it means per image made."""
    other, mode = row.get("other", {}), row["mode"]
    prices = {}
    if mode in ("image_generation", "image_edit"):
        image = other.get("output_cost_per_image") or other.get("input_cost_per_image")
        pixel = other.get("input_cost_per_pixel")
        if not image and pixel and pixels(row["model"]):
            # The source divided a round price by the pixels.
            image = round(pixel * pixels(row["model"]), 6)
        prices["image"] = image
    if mode in ("audio_transcription", "realtime"):
        prices["second"] = other.get("input_cost_per_second")
    if mode == "audio_speech":
        prices["second"] = other.get("output_cost_per_second")
        character = other.get("input_cost_per_character")
        prices["char"] = character and character * 1_000_000
    if mode == "rerank":
        prices["search"] = other.get("input_cost_per_query")
    if mode == "search":
        prices["request"] = other.get("input_cost_per_query")
    if other.get("input_cost_per_request"):
        prices["request"] = other["input_cost_per_request"]
    return {name: price for name, price in prices.items() if price}


def search_cases(row):
    """The fee for searching: by the search, but by the request where its size counts."""
    sizes = row.get("other", {}).get("search_context_cost_per_query")
    if not sizes:
        return {}, []
    low, medium, high = (sizes[f"search_context_size_{s}"] for s in ("low", "medium", "high"))
    if low == medium == high:
        return {"search": low}, []
    cases = [("context=medium", {"request": medium}), ("context=high", {"request": high})]
    return {"request": low}, cases


def tier_cases(row):
    """Tiers first, then lengths, then both: each replaces what is more general than itself."""
    sets = {}
    for variant in row.get("variants", []):
        tier, above = variant.get("service_tier"), variant.get("above_input_tokens", 0)
        if tier is None or tier in TIERS:
            sets.setdefault((tier, int(above)), {}).update(token_prices(variant))
    batch = {"in": row.get("input_batch"), "out": row.get("output_batch")}
    batch = {name: price * 1_000_000 for name, price in batch.items() if price is not None}
    if batch:
        sets[("batch", 0)] = batch | sets.get(("batch", 0), {})

    def rank(key):
        tier, above = key
        general = 0 if not above else 1 if tier is None else 2
        return general, above, TIERS.index(tier) if tier else -1

    cases = []
    for tier, above in sorted(sets, key=rank):
        names = [f"tier={tier}"] * bool(tier) + [f"above={above}"] * bool(above)
        cases.append((" ".join(names), sets[(tier, above)]))
    return cases


def off_peak_case(row):
    off = row.get("other", {}).get("off_peak_pricing")
    if not off:
        return []
    windows = []
    for window in off["windows"]:
        hours = window["hours_utc"]
        hours = [hours] if isinstance(hours, str) else hours
        days = "".join(str(int(day)) for day in window["weekdays"])
        windows += [f"{days}@{span}" for span in hours]
    names = {"input": "input_cost_per_token", "output": "output_cost_per_token"}
    names["cache_read"] = "cache_read_input_token_cost"
    prices = token_prices({k: off[name] for k, name in names.items() if name in off})
    return [("off=" + ",".join(windows), prices)]


def show(prices):
    digits = {name: 15 if name in PER_ONE else 9 for name in ORDER}
    return " ".join(f"{n}={plain(prices[n], digits[n])}" for n in ORDER if n in prices)


def columns(row):
    """The line's columns after the model, or nothing where no price is known."""
    base = token_prices(row) | unit_prices(row)
    other = row.get("other", {})
    if "read" not in base and "input_cost_per_token_cache_hit" in other:
        base["read"] = other["input_cost_per_token_cache_hit"] * 1_000_000
    if row["mode"] in ("image_generation", "image_edit"):
        if "out" not in base and "image_out" in base:
            base["out"] = base["image_out"]
        # A zero beside the price of an image says that tokens are not what is charged.
        if base.get("image") and not base.get("in") and not base.get("out"):
            base = {k: v for k, v in base.items() if k not in ("in", "out")}
    # A cache that is written to for nothing is one that nobody counts.
    if not base.get("write"):
        base.pop("write", None)
    # Where reasoning costs what other output costs, it needs no price; in a tier it would go stale.
    if base.get("think") == base.get("out"):
        base.pop("think", None)
    free = "gemma" in row["model"] or "moderation" in row["model"]
    if not any(base.values()) and not free:
        return None
    searches, sizes = search_cases(row)
    base |= searches
    factors = ["regional_endpoint_uplift_multiplier", "regional_processing_uplift_multiplier_eu"]
    factor = [f"regional={plain(other[f], 3)}" for f in factors if f in other]
    first = " ".join([show(base), *factor])
    cases = sizes + tier_cases(row) + off_peak_case(row)
    shown = [first]
    for name, prices in cases:
        changed = {k: v for k, v in prices.items() if name.startswith(("tier", "above")) or base.get(k) != v}
        if changed:
            shown.append(f"{name} {show(changed)}")
    return shown


def model_name(row):
    name = row["model"].lower()
    name = name.removeprefix("accounts/fireworks/models/").replace("/bedrock/", "/")
    region = row.get("region")
    return f"{region}/{name}" if region else name


def rank(row):
    """Which of several rows of one model counts: priced ones, then the preferred, then prefixed keys."""
    place = PREFERRED.index(row["provider"]) if row["provider"] in PREFERRED else len(PREFERRED)
    return bool(row.get("input") or row.get("output")), place, "/" in row["key"], row["key"]


def main():
    path, date = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        rows = json.load(file, parse_float=Decimal, parse_int=Decimal)["models"]
    book = {}
    for row in sorted((r for r in rows if r.get("mode")), key=rank):
        slug = SLUGS.get(row.get("gateway_provider") or row["provider"])
        if slug is None or "commitment" in row["key"]:
            continue
        shown = columns(row)
        if shown:
            book[(slug, model_name(row))] = shown
    out = [HEADER + f"# valid from {date}"]
    out += ["\t".join([*key, *shown]) for key, shown in book.items()]
    lines = [out[0], *sorted(out[1:], key=str.encode)]
    sys.stdout.buffer.write(("\n".join(lines) + "\n").encode())


main()
