"""JSON values written as YAML: the part of it that an OpenAPI document needs."""

import json
from collections.abc import Iterator


def yaml_text(value: object) -> str:
    """Write a value as a YAML document. Keys and texts are quoted as in JSON, which YAML reads."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: object) -> Iterator[str]:
    match value:
        case dict() if value:
            for key, item in value.items():
                yield from _entry(f"{json.dumps(key)}:", item)
        case list() if value:
            for item in value:
                yield from _entry("-", item)
        case _:
            yield json.dumps(value, ensure_ascii=False)


def _entry(head: str, item: object) -> Iterator[str]:
    """Write what belongs to a key or a dash: beside it, or below it and further in."""
    if isinstance(item, dict | list) and item:
        yield head
        yield from (f"  {line}" for line in _lines(item))
    else:
        yield f"{head} {json.dumps(item, ensure_ascii=False)}"
