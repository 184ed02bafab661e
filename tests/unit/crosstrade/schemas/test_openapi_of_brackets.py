"""What an openapi.json says of a body, in the shapes in which it may say so."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.endpoints import ENDPOINTS
from ct_mcp.crosstrade.schemas.bracket import may_be_number, parse_body_fields

BRACKET = ENDPOINTS["CancelAndBracket"]
PATH = "/v1/api/accounts/{account}/orders/cancel_and_bracket"
FIELDS = {"instrument": {"type": "string"}, "stopLoss": {"type": "number"}}
PLAIN = {"type": "object", "properties": FIELDS}


def document(schema: object, path: str = PATH, **components: object) -> str:
    body = {"content": {"application/json": {"schema": schema}}}
    return json.dumps({"paths": {path: {"post": {"requestBody": body}}}, "components": components})


@pytest.mark.parametrize(
    "text",
    [
        document(PLAIN),
        document(PLAIN, "/accounts/{accountName}/orders/cancel_and_bracket"),
        document({"$ref": "#/components/schemas/Bracket"}, schemas={"Bracket": PLAIN}),
        document({"$ref": "#/components/schemas/A"}, schemas={"A": {"$ref": "#/components/schemas/B"}, "B": PLAIN}),
        document({"allOf": [{"$ref": "#/components/schemas/A"}, {"properties": {"stopLoss": {"type": "number"}}}]},
                 schemas={"A": {"properties": {"instrument": {"type": "string"}}}}),
        document({"properties": {"instrument": {"type": "string"}, "stopLoss": {"$ref": "#/components/schemas/P"}}},
                 schemas={"P": {"type": "number"}}),
        json.dumps({
            "paths": {PATH: {"post": {"requestBody": {"$ref": "#/components/requestBodies/B"}}}},
            "components": {"requestBodies": {"B": {"content": {"application/json": {"schema": PLAIN}}}}},
        }),
    ],
)  # fmt: skip
def test_the_fields_of_a_body_are_found_wherever_they_are_described(text: str) -> None:
    assert parse_body_fields(text, BRACKET) == FIELDS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "<html>",
        "{}",
        document(PLAIN, "/v1/api/tv/accounts/{account}/orders/cancel_and_bracket"),
        document(PLAIN, "/v1/api/accounts/{account}/orders/place"),
        document({"type": "object"}),
        document({"$ref": "#/components/schemas/Nowhere"}),
        document({"$ref": "#/components/schemas/Loop"}, schemas={"Loop": {"$ref": "#/components/schemas/Loop"}}),
        document({"$ref": "https://elsewhere.invalid/schema.json"}),
        document({"properties": []}),
        json.dumps({"paths": {PATH: {"get": {"requestBody": {}}}}}),
        json.dumps({"paths": {PATH: None}}),
    ],
)
def test_what_is_not_described_has_no_fields(text: str) -> None:
    assert parse_body_fields(text, BRACKET) == {}


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        ({"type": "number"}, True),
        ({"type": "integer"}, True),
        ({"type": ["number", "null"]}, True),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, True),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, True),
        ({"description": "a price"}, True),
        ({}, True),
        ({"type": "string"}, False),
        ({"type": "object"}, False),
        ({"anyOf": [{"type": "boolean"}]}, False),
    ],
)
def test_a_field_says_whether_a_number_fits(*, schema: dict[str, object], fits: bool) -> None:
    assert may_be_number(schema) is fits


JSON = st.recursive(
    st.none() | st.integers() | st.sampled_from(["#/paths", "#/", "#/components/x", "number", "object"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$ref", "properties", "allOf", "anyOf", "type", "content", "schema", "requestBody", "post"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_document_breaks_the_look_up(schema: object, methods: object) -> None:
    fields = parse_body_fields(document(schema), BRACKET)
    assert all(may_be_number(field) in (True, False) for field in fields.values())
    assert isinstance(parse_body_fields(json.dumps({"paths": {PATH: methods}}), BRACKET), dict)
