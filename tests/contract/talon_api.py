"""The published API files, read where they are, and a check of answers against them.

They are not part of this project: ``TALON_API_FILES`` names their folder, by default
``../shared/talon-api`` next to the repository.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
_DEFAULT = Path(__file__).parents[3] / "shared" / "talon-api"
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")

# The contradictions of the published file, as listed in known-errors.md beside it.
NOT_REQUIRED = {
    "CustomerSessionV2": {"coupon", "referral"},
    "CustomerAchievement": {"isCappedByTarget"},
    "ExtendLoyaltyPointsExpiryDateEffectProps": {"previousExpirationDate"},
}
NULLABLE = {("CustomerProfile", "loyaltyMemberships"), ("LedgerInfo", "nextTierName")}
NO_LIMIT = {("IntegrationEntity", "integrationId"), ("Return", "sessionIntegrationId")}
MORE_WORDS = {
    ("CouponRejectionReason", "reason"): {"CouponLimitReached"},
    ("ReferralRejectionReason", "reason"): {"AdvocateNotFound", "ReferralCustomerAlreadyReferred"},
}
MORE_STATUSES = {
    "getCustomerSession": {404},
    "returnCartItems": {404},
    "reopenCustomerSession": {404},
    "trackEventV3": {204},
    "getEventV3": {400, 401},
    "getCustomerInventory": {400},
    "deleteCustomerData": {400},
}


def folder() -> Path:
    """Return the folder of the published files, or skip the test."""
    found = Path(os.environ.get("TALON_API_FILES") or _DEFAULT)
    if not (found / "seed-models.json").exists():
        pytest.skip("about the published API files, which TALON_API_FILES names the folder of")
    return found


@lru_cache(maxsize=1)
def openapi(path: Path) -> Json:
    """Return the published OpenAPI file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content: Json = yaml.load((path / "integration-openapi-2026-08.yml").read_bytes(), loader)
    return content


class Api:
    """The current API: checks answers, returns what is wrong with them."""

    def __init__(self) -> None:
        self._file = openapi(folder())
        self._schemas = self._file["components"]["schemas"]
        self.operations = {
            operation["operationId"]: operation
            for methods in self._file["paths"].values()
            for operation in methods.values()
            if isinstance(operation, dict) and "operationId" in operation
        }

    def wrong(self, operation: str, status: int, payload: Any) -> list[str]:
        """Return the problems of an answer."""
        listed = self.operations[operation]["responses"]
        if status == 204:
            known = "204" in listed or status in MORE_STATUSES.get(operation, ())
            return [] if known and payload is None else ["204"]
        if str(status) not in listed:
            if status == 429 or status in MORE_STATUSES.get(operation, ()):
                return self._check({"$ref": "#/ErrorResponseWithStatus"}, payload, "")
            return [f"status {status} is not listed"]
        content = listed[str(status)].get("content", {}).get("application/json", {})
        return self._check(content.get("schema", {}), payload, "")

    def fields_of_request(self, operation: str) -> set[str]:
        """Return the pointers of all fields a request may have, lists as their first entry."""
        return set(self._pointers(self._request(operation), ""))

    def response_content(self, operation: str) -> list[str]:
        """Return the parts of an answer that a request may ask for."""
        known: Json = {}
        self._gather(self._request(operation), "", known, set())
        return list(known["responseContent"][1]["items"]["enum"]) if known else []

    def _request(self, operation: str) -> Json:
        body = self.operations[operation].get("requestBody", {})
        if "$ref" in body:
            body = self._file["components"]["requestBodies"][body["$ref"].rpartition("/")[2]]
        schema: Json = body.get("content", {}).get("application/json", {}).get("schema", {})
        return schema

    def _pointers(self, schema: Json, path: str) -> list[str]:
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        if schema.get("type") == "array":
            return self._pointers(schema["items"], f"{path}/0")
        found = [path] if path.endswith("/0") else []
        known: Json = {}
        self._gather(schema, "", known, set())
        for field, (_, inner) in known.items():
            found += [f"{path}/{field}", *self._pointers(inner, f"{path}/{field}")]
        return found

    def _check(self, schema: Json, value: Any, path: str, name: str = "") -> list[str]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._check(self._schemas[name], value, path, name)
        if name == "Effect":
            return self._effect(value, path)
        if "allOf" in schema or schema.get("type") == "object":
            return self._object(schema, value, path, name)
        return self._plain(schema, value, path, name)

    def _object(self, schema: Json, value: Any, path: str, name: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no object"]
        known: Json = {}
        required: set[str] = set()
        is_open = self._gather(schema, name, known, required)
        found = [f"{path}/{missing}: missing" for missing in sorted(required - set(value))]
        for field, inner in value.items():
            where = f"{path}/{field}"
            if field in known:
                owner, sub = known[field]
                found += self._field(owner, field, sub, inner, where)
            elif is_open is False:
                found.append(f"{where}: unknown")
            elif isinstance(is_open, dict):
                found += self._check(is_open, inner, where)
        return found

    def _gather(self, schema: Json, name: str, known: Json, required: set[str]) -> Any:
        """Collect the fields of a schema and its parts; return how open it is."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self._schemas[name]
        openness: Any = False
        for part in schema.get("allOf", []):
            openness = self._gather(part, name, known, required) or openness
        for field, inner in schema.get("properties", {}).items():
            known[field] = (name, inner)
        required |= set(schema.get("required", [])) - NOT_REQUIRED.get(name, set())
        required -= NOT_REQUIRED.get(name, set())
        if "additionalProperties" in schema:
            return schema["additionalProperties"]
        is_bare = schema.get("type") == "object" and not schema.get("properties")
        return openness or (is_bare and "allOf" not in schema and not known)

    def _field(self, owner: str, field: str, schema: Json, value: Any, path: str) -> list[str]:
        if value is None and (owner, field) in NULLABLE:
            return []
        if (owner, field) in NO_LIMIT:
            schema = {k: v for k, v in schema.items() if k != "maxLength"}
        if (owner, field) in MORE_WORDS:
            schema = {**schema, "enum": [*schema["enum"], *MORE_WORDS[owner, field]]}
        return self._check(schema, value, path)

    def _effect(self, value: Any, path: str) -> list[str]:
        titles = {
            self._schemas[branch["$ref"].rpartition("/")[2]].get("title"): branch
            for branch in self._schemas["Effect"]["allOf"][1]["properties"]["props"]["oneOf"]
        }
        envelope = {k: v for k, v in value.items() if k != "props"}
        found = self._check({"$ref": "#/EffectEntity"}, envelope, path)
        branch = titles.get(value["effectType"])
        if branch is None:
            return [*found, f"{path}: no effect {value['effectType']}"]
        return found + self._check(branch, value["props"], f"{path}/props")

    def _plain(self, schema: Json, value: Any, path: str, name: str) -> list[str]:
        if value is None:
            return [] if schema.get("nullable") or not schema else [f"{path}: null"]
        kind, found = schema.get("type"), []
        if kind == "array":
            if not isinstance(value, list):
                return [f"{path}: {value!r} is no array"]
            for index, entry in enumerate(value):
                found += self._check(schema.get("items", {}), entry, f"{path}/{index}")
        elif kind and not _is(kind, value):
            return [f"{path}: {value!r} is no {kind}"]
        return found + _limits(schema, value, path)


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    types = {"string": str, "integer": int, "number": (int, float)}
    return isinstance(value, types.get(kind, object))


def _limits(schema: Json, value: Any, path: str) -> list[str]:
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{path}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            found.append(f"{path}: too short")
        if len(value) > schema.get("maxLength", len(value)):
            found.append(f"{path}: too long")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"{path}: {value!r} is not like {schema['pattern']}")
        if schema.get("format") == "date-time" and not _TIME.match(value):
            found.append(f"{path}: {value!r} is no time")
    elif isinstance(value, int | float):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            found.append(f"{path}: {value} is out of range")
    elif isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        found.append(f"{path}: too many")
    return found


class SeedApi:
    """The API of 2020, as its models were published."""

    def __init__(self) -> None:
        self._models = json.loads((folder() / "seed-models.json").read_bytes())
        self.operations = json.loads((folder() / "seed-operations.json").read_bytes())

    def wrong(self, operation: str, status: int, payload: Any) -> list[str]:
        """Return the problems of an answer; models of 2020 have exactly their fields."""
        returns = self.operations[operation]["returns"]
        if status >= 400:
            payload = {k: v for k, v in payload.items() if k != "StatusCode"}
            return self._check("ErrorResponse", payload, "")
        if status == 204 or returns == "null":
            return [] if payload is None and status == 204 else ["a body"]
        return self._check(returns, payload, "")

    def wrong_request(self, operation: str, body: Any) -> list[str]:
        """Return the problems of a request."""
        return self._model(self._body(operation), body, "")

    def fields_of_request(self, operation: str) -> set[str]:
        """Return the pointers of all fields a request may have, lists as their first entry."""
        return set(self._pointers(self._body(operation), ""))

    def _body(self, operation: str) -> str:
        params = self.operations[operation]["params"]
        return str(next(param["type"] for param in params if param["name"] == "body"))

    def _pointers(self, kind: str, path: str) -> list[str]:
        if kind.startswith("["):
            return [f"{path}/0", *self._pointers(kind[1:-1], f"{path}/0")]
        found = []
        for field, spec in self._models.get(kind, {}).items():
            found += [f"{path}/{field}", *self._pointers(spec["type"], f"{path}/{field}")]
        return found

    def _check(self, kind: str, value: Any, path: str) -> list[str]:
        if kind.startswith("["):
            if not isinstance(value, list):
                return [f"{path}: {value!r} is no array"]
            return [
                w for i, v in enumerate(value) for w in self._check(kind[1:-1], v, f"{path}/{i}")
            ]
        if kind.startswith("{"):
            inner = kind[1:-1].partition(": ")[2]
            return [w for k, v in value.items() for w in self._check(inner, v, f"{path}/{k}")]
        if kind == "Effect":
            return self._model("Effect", value, path) + self._props(value, path)
        if kind in self._models:
            return self._model(kind, value, path)
        return self._plain(kind, value, path)

    def _props(self, value: Any, path: str) -> list[str]:
        name = value["effectType"]
        model = f"{name[0].upper()}{name[1:]}EffectProps"
        if model not in self._models:
            return [f"{path}: no effect {name}"]
        return self._model(model, value["props"], f"{path}/props")

    def _model(self, name: str, value: Any, path: str) -> list[str]:
        if not isinstance(value, dict):
            return [f"{path}: {value!r} is no {name}"]
        fields, found = self._models[name], []
        for field, spec in fields.items():
            if spec["required"] and field not in value:
                found.append(f"{path}/{field}: missing")
        for field, inner in value.items():
            where = f"{path}/{field}"
            if field not in fields:
                found.append(f"{where}: unknown")
                continue
            spec = fields[field]
            found += self._check(spec["type"], inner, where)
            words = spec.get("enum")
            entries = inner if isinstance(inner, list) else [inner]
            found += [f"{where}: {e!r} is no {words}" for e in entries if words and e not in words]
        return found

    def _plain(self, kind: str, value: Any, path: str) -> list[str]:
        kinds = {"String": "string", "Number": "number", "Boolean": "boolean", "Date": "string"}
        if kind == "Object":
            return []
        if not _is(kinds[kind], value):
            return [f"{path}: {value!r} is no {kind}"]
        return [] if kind != "Date" or _TIME.match(value) else [f"{path}: {value!r} is no time"]
