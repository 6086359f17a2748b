"""Runs one of the benchmarks beside it: {"bench": "matmul", "n": 64}."""

import importlib

BENCHES = ("aes", "json_text", "linpack", "matmul")


def handle(event, context):
    bench = (event or {}).get("bench", "matmul")
    if bench not in BENCHES:
        raise ValueError(f"there is {', '.join(BENCHES)}; not {bench}")
    return {"bench": bench, **importlib.import_module(bench).lambda_handler(event, context)}
