"""Comparing their lists of routes with our table, and what answers say beside their bodies."""

import json

import pytest

from ct_mcp.crosstrade.api_catalog import Route
from ct_mcp.crosstrade.diagnostics import DriftKind, RouteDifference, compare_routes, parse_openapi_routes
from ct_mcp.crosstrade.endpoints import ENDPOINTS, REFERENCES
from ct_mcp.errors import BadReply

ACCOUNT = "/v1/api/accounts/{account}"


def as_catalogued() -> dict[str, Route]:
    """A list that says what our catalogue says."""
    return {rpc: Route(endpoint.method, endpoint.path, rpc) for rpc, endpoint in ENDPOINTS.items()}


def found(*routes: Route) -> list[tuple[str, str, str]]:
    """What differs: kind, name and where they have it."""
    return [(each.kind, each.name, each.theirs) for each in compare_routes({"_endpoints": routes}).differences]


def changed(rpc: str, **to: str) -> list[Route]:
    """Our catalogue with one route that is otherwise."""
    listed = as_catalogued()
    route = listed[rpc]
    values = {"method": route.method, "path": route.path, "name": route.name, **to}
    return [*({**listed, rpc: Route(**values)}).values()]


def without(*names: str) -> list[Route]:
    return [route for name, route in as_catalogued().items() if name not in names]


def test_a_list_that_agrees_shows_no_drift() -> None:
    drift = compare_routes({"_endpoints": tuple(as_catalogued().values())})
    assert (drift.differences, drift.elsewhere) == ((), 0)
    assert drift.compared == {"_endpoints": len(ENDPOINTS)}


@pytest.mark.parametrize("spelling", ["{acct}", ":accountName", "<string:account>", "{account:guid}"])
def test_what_they_call_a_name_in_a_path_is_no_drift(spelling: str) -> None:
    assert found(*changed("ListOrders", path=f"/v1/api/accounts/{spelling}/orders")) == []


def test_a_path_without_the_prefix_or_with_a_slash_behind_is_no_drift() -> None:
    assert found(*changed("ListAccounts", path="accounts/", name="")) == []


def test_a_list_without_names_is_compared_by_method_and_path() -> None:
    assert found(*(Route(route.method, route.path, "") for route in as_catalogued().values())) == []


def test_a_route_that_is_gone_is_missing() -> None:
    (gone,) = compare_routes({"_endpoints": without("Flatten")}).differences
    assert gone == RouteDifference(
        DriftKind.MISSING, "Flatten", f"POST {ACCOUNT}/positions/flatten", "", seen_in=("_endpoints",)
    )


def test_a_route_that_we_do_not_know_is_new() -> None:
    extra = Route("POST", f"{ACCOUNT}/positions/hedge", "Hedge")
    assert found(*as_catalogued().values(), extra) == [("new", "Hedge", f"POST {ACCOUNT}/positions/hedge")]


def test_a_route_that_moved_is_found_by_its_name_and_is_not_new_as_well() -> None:
    moved = changed("ClosePosition", path=f"{ACCOUNT}/position/close")
    assert found(*moved) == [("changed", "ClosePosition", f"POST {ACCOUNT}/position/close")]


@pytest.mark.parametrize("name", ["Change", ""])
def test_another_method_is_a_change(name: str) -> None:
    theirs = f"POST {ACCOUNT}/orders/{{order_id}}/change"
    assert found(*changed("Change", method="POST", name=name)) == [("changed", "Change", theirs)]


def test_two_calls_that_swapped_their_paths_differ_although_both_paths_are_there() -> None:
    listed = as_catalogued()
    first, second = listed["Reverse"], listed["ReversePosition"]
    listed["Reverse"] = Route("POST", second.path, "Reverse")
    listed["ReversePosition"] = Route("POST", first.path, "ReversePosition")
    assert [(kind, name) for kind, name, _ in found(*listed.values())] == [
        ("changed", "Reverse"),
        ("changed", "ReversePosition"),
    ]


def test_a_name_that_stands_at_our_path_and_at_another_is_a_new_route_and_no_change() -> None:
    extra = Route("GET", "/v1/api/every-quote", "GetQuote")
    assert found(*as_catalogued().values(), extra) == [("new", "GetQuote", "GET /v1/api/every-quote")]


def test_a_name_that_was_only_our_own_need_not_be_theirs() -> None:
    assert ENDPOINTS["GetQuoteLegacy"].assumed
    assert found(*changed("GetQuoteLegacy", name="GetAccountQuote")) == []


def test_a_path_that_was_only_assumed_says_so() -> None:
    (moved,) = compare_routes({"_endpoints": changed("GetAllOrders", path="/v1/api/orders/all")}).differences
    assert (moved.kind, moved.assumed) == ("changed", "the path")


@pytest.mark.parametrize(
    "path", ["/v1/api/tv/accounts", "/tv/accounts", "/v1/api/mcp", "/v1/send/{key}/{secret}", "/ws/stream"]
)
def test_routes_of_other_products_are_counted_and_no_drift(path: str) -> None:
    drift = compare_routes({"_endpoints": [*as_catalogued().values(), Route("GET", path, "ListAccounts")]})
    assert (drift.differences, drift.elsewhere) == ((), 1)


def test_a_route_that_only_begins_like_another_product_is_new() -> None:
    extra = Route("GET", "/v1/api/tvl", "")
    assert found(*as_catalogued().values(), extra) == [("new", "", "GET /v1/api/tvl")]


def test_a_call_that_only_another_product_still_has_is_missing() -> None:
    listed = [*without("ListPositions"), Route("GET", "/v1/api/tv/accounts/{a}/positions", "ListPositions")]
    assert found(*listed) == [("missing", "ListPositions", "")]


def test_a_list_may_leave_all_documents_out_but_not_one_of_them() -> None:
    assert found(*without(*REFERENCES)) == []
    assert found(*without("llms.txt")) == [("missing", "llms.txt", "")]


def test_what_two_lists_show_is_told_once_and_says_where() -> None:
    lists = {"_endpoints": without("Flatten"), "openapi.json": without("Flatten", "Cancel")}
    told = {each.name: each.seen_in for each in compare_routes(lists).differences}
    assert told == {"Flatten": ("_endpoints", "openapi.json"), "Cancel": ("openapi.json",)}


def test_a_new_route_is_told_once_whatever_each_list_calls_it() -> None:
    first = Route("GET", "/v1/api/alerts/{id}", "GetAlert")
    second = Route("GET", "/v1/api/alerts/{alertId}", "alerts_get")
    lists = {"_endpoints": [*without(), first], "openapi.json": [*without(), second]}
    told = [(each.name, each.seen_in) for each in compare_routes(lists).differences]
    assert told == [("GetAlert", ("_endpoints", "openapi.json"))]


def test_their_words_are_made_harmless() -> None:
    extra = Route("GET", "/v1/api/x\x1b[2J\u202e", "Evil\u200bName" + "x" * 999)
    ((_, name, theirs),) = found(*as_catalogued().values(), extra)
    assert theirs == "GET /v1/api/x[2J"
    assert name.startswith("EvilName")
    assert len(name) == 60


def openapi(paths: object, **more: object) -> str:
    return json.dumps({"openapi": "3.1.0", "paths": paths, **more})


def test_the_routes_of_an_openapi_document_are_read() -> None:
    document = openapi({"/v1/api/orders": {"get": {"operationId": "GetAllOrders"}, "parameters": [], "post": {}}})
    assert parse_openapi_routes(document) == (
        Route("GET", "/v1/api/orders", "GetAllOrders"),
        Route("POST", "/v1/api/orders", ""),
    )


@pytest.mark.parametrize("url", ["https://app.example/v1/api", "/v1/api/"])
@pytest.mark.parametrize("path", ["/orders", "/v1/api/orders"])
def test_a_base_path_of_the_document_counts_once(url: str, path: str) -> None:
    (route,) = parse_openapi_routes(openapi({path: {"get": {}}}, servers=[{"url": url}]))
    assert route.path == "/v1/api/orders"


@pytest.mark.parametrize(
    "servers", [[], [{}], ["x"], "x", [{"url": 5}], [{"url": "http://[half"}], [{"url": "https://app.example/"}]]
)
def test_a_document_without_a_base_path_is_taken_as_it_is(servers: object) -> None:
    (route,) = parse_openapi_routes(openapi({"/v1/api/orders": {"get": {}}}, servers=servers))
    assert route.path == "/v1/api/orders"


@pytest.mark.parametrize("document", ["{}", "[]", openapi([]), openapi({"/x": []}), openapi({"/x": {"summary": "y"}})])
def test_a_document_that_describes_no_routes_is_refused(document: str) -> None:
    with pytest.raises(BadReply, match="describes no routes"):
        parse_openapi_routes(document)


def test_a_document_that_is_no_json_is_refused() -> None:
    with pytest.raises(BadReply):
        parse_openapi_routes("openapi: 3.1.0")
