"""Google's own description of a REST interface, and how a request differs from it.

Belongs here: the discovery documents that google-api-python-client ships.  Method, path, query parameters and every field of a
body must stand there with that type.  What a server answers is the business of its stub.
"""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import googleapiclient

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
KINDS = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "array": list}
NUMBERS_AS_TEXT = ("int64", "uint64")


@dataclass(frozen=True)
class Contract:
    """The interface of that document.  `clients_own`: parameters that Google's client sends and the document does not have."""

    name: str
    clients_own: tuple[str, ...] = ()

    @cached_property
    def document(self):
        return json.loads((DOCUMENTS / f"{self.name}.json").read_text(encoding="utf-8"))

    @cached_property
    def methods(self):
        """(HTTP method, compiled path, description) of every method."""
        return list(_methods(self.document))

    def breaches(self, http_method, path, query, body):
        """How a request differs from the contract, one line for each difference."""
        for method, pattern, described in self.methods:
            if method == http_method and pattern.fullmatch(path):
                where = described["id"]
                known = {*described.get("parameters", {}), *self.document["parameters"], *self.clients_own}
                lines = [f"{where}: no parameter {name}" for name in query if name not in known]
                if "request" in described:
                    lines += self._of_schema(described["request"]["$ref"], body, where)
                elif body:
                    lines.append(f"{where}: takes no body")
                return lines
        return [f"no method {http_method} {path}"]

    def _of_schema(self, name, value, where):
        properties = self.document["schemas"][name].get("properties", {})
        if not isinstance(value, dict):
            return [f"{where}: {name} is no object"]
        lines = []
        for key, one in value.items():
            if key not in properties:
                lines.append(f"{where}.{key}: not in {name}")
            elif one is not None:
                lines += self._of_value(properties[key], one, f"{where}.{key}")
        return lines

    def _of_value(self, described, value, where):
        if "$ref" in described:
            return self._of_schema(described["$ref"], value, where)
        kind = described.get("type", "any")
        if kind == "any":
            return []
        if "enum" in described:
            return [] if _is_one_of(described["enum"], value) else [f"{where}: {value} is none of the values"]
        if kind == "string" and type(value) is int:
            return [] if described.get("format") in NUMBERS_AS_TEXT else [f"{where}: a number where a text is expected"]
        if not isinstance(value, KINDS[kind]):
            return [f"{where}: no {kind}"]
        inner = []
        if kind == "array":
            inner = [(described["items"], one, f"{where}[{place}]") for place, one in enumerate(value)]
        elif kind == "object" and "additionalProperties" in described:
            inner = [(described["additionalProperties"], one, f"{where}.{key}") for key, one in value.items()]
        return [line for one in inner for line in self._of_value(*one)]


def _methods(resource):
    for inner in resource.get("resources", {}).values():
        for method in inner.get("methods", {}).values():
            pattern = re.sub(r"\\\{(?:\\\+)?(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(method["path"]))
            yield method["httpMethod"], re.compile(pattern), method
        yield from _methods(inner)


def _is_one_of(names, value):
    """By name, or by number: protobuf's JSON takes both, and Google's clients send numbers (`enum-encoding=int`)."""
    return value in names or (type(value) is int and 0 <= value < len(names))
