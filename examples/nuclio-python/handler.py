from nuclio_shape import served


def handler(context, event):
    name = event.body.get("name", "world") if isinstance(event.body, dict) else "world"
    context.logger.info_with("greeting", name=name, method=event.method, path=event.path)
    return context.Response(body={"message": f"Hello, {name}!"}, headers={"x-shape": "nuclio"}, status_code=200)


handle = served(handler)
