"""Multiplies two square matrices."""

import random
import time


def matmul(a, b):
    columns = list(zip(*b))
    return [[sum(x * y for x, y in zip(row, column)) for column in columns] for row in a]


def lambda_handler(event, context):
    n = int(event.get("n", 64))
    rng = random.Random(n)
    a = [[rng.random() for _ in range(n)] for _ in range(n)]
    unit = [[float(i == j) for j in range(n)] for i in range(n)]
    begun = time.perf_counter()
    product = matmul(a, unit)
    return {"n": n, "right": product == a, "latency": time.perf_counter() - begun}
