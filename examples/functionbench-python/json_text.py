"""Writes a document as JSON and reads it back."""

import json
import time


def lambda_handler(event, context):
    n = int(event.get("n", 1000))
    document = [{"id": i, "name": f"item {i}", "tags": ["a", "b"], "price": i / 7, "nested": {"odd": bool(i % 2)}} for i in range(n)]
    begun = time.perf_counter()
    text = json.dumps(document)
    same = json.loads(text) == document
    return {"n": n, "bytes": len(text), "right": same, "latency": time.perf_counter() - begun}
