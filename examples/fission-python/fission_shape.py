"""Serves a handler of the shape main(), which reads a request, as Fission's Python environment has it."""

import base64
import contextvars
import json

_current = contextvars.ContextVar("request")


class Request:
    """The request of the call that runs, with the names that Flask gives its parts."""

    @property
    def _event(self):
        event = _current.get()
        if isinstance(event, dict) and "requestContext" in event:
            return event
        return {"body": json.dumps(event), "headers": {"content-type": "application/json"}}

    @property
    def method(self):
        return self._event.get("requestContext", {}).get("http", {}).get("method", "POST")

    @property
    def path(self):
        return self._event.get("rawPath", "/")

    @property
    def args(self):
        return self._event.get("queryStringParameters") or {}

    @property
    def headers(self):
        return self._event.get("headers") or {}

    @property
    def data(self):
        event = self._event
        body = event.get("body") or ""
        return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()

    def get_data(self, as_text=False):
        return self.data.decode() if as_text else self.data

    def get_json(self, force=False, silent=False):
        if not force and "json" not in self.headers.get("content-type", ""):
            return None
        try:
            return json.loads(self.data)
        except ValueError:
            if silent:
                return None
            raise

    @property
    def json(self):
        return self.get_json()


request = Request()


def served(main):
    def handle(event):
        token = _current.set(event)
        try:
            answer = main()
        finally:
            _current.reset(token)
        parts = answer if isinstance(answer, tuple) else (answer,)
        body = parts[0]
        status = next((p for p in parts[1:] if isinstance(p, int)), 200)
        headers = {k.lower(): v for k, v in next((p for p in parts[1:] if isinstance(p, dict)), {}).items()}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("content-type", "application/json")
        headers.setdefault("content-type", "text/html; charset=utf-8")
        if isinstance(body, bytes):
            return {"statusCode": status, "headers": headers, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        return {"statusCode": status, "headers": headers, "body": body or ""}

    return handle
