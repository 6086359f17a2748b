"""Streams: a generator's items reach the client as they are made. The first item, because it has a
statusCode, sets the status and the headers of the HTTP response."""

import time


def handle(event, context):
    yield {"statusCode": 200, "headers": {"content-type": "text/plain; charset=utf-8"}}
    for second in range(3, 0, -1):
        yield f"{second}...\n"
        time.sleep(0.2)
    yield "lift-off\n"
