"""Greets. Works behind /invoke, where the event is the JSON you send, and behind its
function URL, where the event is an HTTP request (AWS payload format 2.0)."""

import json


def handle(event, context):
    name = name_in(event) or "world"
    return {
        "message": f"Hello, {name}!",
        "function": context.function_name,
        "version": context.function_version,
        "request_id": context.request_id,
    }


def name_in(event):
    if not isinstance(event, dict):
        return None
    if "requestContext" not in event:
        return event.get("name")
    query = event.get("queryStringParameters") or {}
    if "name" in query:
        return query["name"]
    try:
        body = json.loads(event.get("body") or "null")
    except ValueError:
        return None
    return body.get("name") if isinstance(body, dict) else None
