from fission_shape import request, served


def main():
    name = request.args.get("name") or (request.get_json(silent=True) or {}).get("name", "world")
    return f"Hello, {name}!\n", 200, {"x-shape": "fission"}


handle = served(main)
