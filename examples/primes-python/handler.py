"""An async handler that computes, prints (see `nimbus logs primes-python`) and reads its settings from
the environment: deploy it with --env LIMIT=1000000 to let it count further."""

import os
import time

CEILING = int(os.environ.get("LIMIT", "200000"))


async def handle(event, context):
    below = min(int((event or {}).get("below", 1000)), CEILING)
    started = time.perf_counter()
    found = primes(below)
    print(f"{len(found)} primes below {below}")
    return {"count": len(found), "largest": found[-1] if found else None,
            "seconds": round(time.perf_counter() - started, 4)}


def primes(below):
    sieve = bytearray([1]) * max(below, 0)
    sieve[:2] = bytes(min(2, len(sieve)))
    for n in range(2, int(below ** 0.5) + 1):
        if sieve[n]:
            sieve[n * n::n] = bytes(len(range(n * n, below, n)))
    return [n for n, is_prime in enumerate(sieve) if is_prime]
