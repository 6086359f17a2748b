"""Serves a handler of the shape handler(context, event), as Nuclio has it."""

import base64
import json
import sys
import types


class Response:
    def __init__(self, body=None, headers=None, content_type=None, status_code=200):
        self.body, self.headers, self.status_code = body, dict(headers or {}), status_code
        if content_type:
            self.headers["content-type"] = content_type


class Logger:
    def _write(self, level, message, values):
        print(level, message, json.dumps(values, default=str) if values else "", file=sys.stderr)

    def __getattr__(self, name):
        level, _, structured = name.partition("_with")
        if level not in ("debug", "info", "warn", "warning", "error"):
            raise AttributeError(name)
        return lambda message, *args, **values: self._write(level, message % args if args else message, values)


class Event:
    def __init__(self, event, context):
        http = event.get("requestContext", {}).get("http", {}) if isinstance(event, dict) else {}
        self.id = context.request_id
        self.method, self.path = http.get("method", "POST"), http.get("path", "/")
        self.headers = event.get("headers", {}) if http else {}
        self.fields = event.get("queryStringParameters", {}) if http else {}
        self.body = event.get("body", "") if http else event
        if http and event.get("isBase64Encoded"):
            self.body = base64.b64decode(self.body)
        self.content_type = self.headers.get("content-type", "application/json")
        if http and self.body and "json" in self.content_type:
            self.body = json.loads(self.body)


def served(handler):
    nuclio = types.SimpleNamespace(logger=Logger(), Response=Response, user_data=types.SimpleNamespace())

    def handle(event, context):
        answer = handler(nuclio, Event(event, context))
        if not isinstance(answer, Response):
            return answer
        body = answer.body
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            answer.headers.setdefault("content-type", "application/json")
        if isinstance(body, bytes):
            return {"statusCode": answer.status_code, "headers": answer.headers,
                    "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        return {"statusCode": answer.status_code, "headers": answer.headers, "body": body or ""}

    return handle
