"""Solves a dense system of linear equations and counts floating-point operations."""

import random
import time


def solve(a, b):
    """Gaussian elimination with partial pivoting; a and b are used up."""
    n = len(b)
    for k in range(n):
        pivot = max(range(k, n), key=lambda i: abs(a[i][k]))
        a[k], a[pivot], b[k], b[pivot] = a[pivot], a[k], b[pivot], b[k]
        for i in range(k + 1, n):
            factor = a[i][k] / a[k][k]
            if factor:
                a[i] = [x - factor * y for x, y in zip(a[i], a[k])]
                b[i] -= factor * b[k]
    x = [0.0] * n
    for k in reversed(range(n)):
        x[k] = (b[k] - sum(a[k][j] * x[j] for j in range(k + 1, n))) / a[k][k]
    return x


def lambda_handler(event, context):
    n = int(event.get("n", 64))
    rng = random.Random(n)
    a = [[rng.uniform(-1, 1) for _ in range(n)] for _ in range(n)]
    b = [sum(row) for row in a]  # so that the solution is all ones
    begun = time.perf_counter()
    x = solve([row[:] for row in a], b[:])
    latency = time.perf_counter() - begun
    operations = 2 * n**3 / 3 + 2 * n**2
    return {"n": n, "right": all(abs(v - 1) < 1e-6 for v in x), "latency": latency, "mflops": operations / latency / 1e6}
