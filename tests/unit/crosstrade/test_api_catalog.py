"""Where the live catalogue puts a call, in our names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ct_mcp.crosstrade.api_catalog import Route, resolve_path
from ct_mcp.crosstrade.endpoints import ENDPOINTS

FILLS = ENDPOINTS["GetExecutionsByOrderId"]
ALL_ORDERS = ENDPOINTS["GetAllOrders"]


def found(path: str, rpc: str = "GetExecutionsByOrderId", name: str = "") -> str | None:
    return resolve_path(ENDPOINTS[rpc], [Route("GET", path, name or rpc)])


@pytest.mark.parametrize(
    ("path", "ours"),
    [
        ("/v1/api/executions/order/{orderId}", "/v1/api/executions/order/{order_id}"),
        ("/executions/order/{orderId}", "/v1/api/executions/order/{order_id}"),
        ("accounts/{account}/fills/{id}/x", None),
        ("/accounts/{accountName}/orders/{id}/fills", "/v1/api/accounts/{account}/orders/{order_id}/fills"),
        ("/accounts/:account/orders/:orderId/fills", "/v1/api/accounts/{account}/orders/{order_id}/fills"),
        ("/accounts/<string:a_account>/orders/<order_id>", "/v1/api/accounts/{account}/orders/{order_id}"),
        ("/accounts/{account:alpha}/orders/{orderId:guid}", "/v1/api/accounts/{account}/orders/{order_id}"),
        # Without the order it would ask for more than one; with something unknown it cannot be asked at all.
        ("/accounts/{account}/executions", None),
        ("/accounts/{account}/executions/{executionId}/{orderId}", None),
        ("/tenants/{tenant}/orders/{orderId}", None),
        ("/../../admin/{orderId}", None),
        ("/orders/{orderId}?all=1", None),
        ("/orders//{orderId}", None),
        ("@elsewhere.invalid/{orderId}", None),
        ("//elsewhere.invalid/{orderId}", None),
        ("", None),
    ],
)
def test_a_live_path_is_taken_only_where_we_can_fill_it_in(path: str, ours: str | None) -> None:
    assert found(path) == ours


@pytest.mark.parametrize("name", ["GetAllOrders", "getAllOrders", "get_all_orders", "GET All Orders"])
def test_a_call_is_known_by_its_name_in_every_spelling(name: str) -> None:
    assert found("/orders/all", "GetAllOrders", name) == "/v1/api/orders/all"


def test_what_bears_no_name_another_name_or_another_method_is_not_taken() -> None:
    routes = [Route("GET", "/tv/orders", ""), Route("GET", "/tv/orders", "Tv_ListOrders")]
    assert resolve_path(ALL_ORDERS, routes) is None
    assert resolve_path(ALL_ORDERS, [Route("POST", "/orders/all", "GetAllOrders")]) is None
    assert resolve_path(ALL_ORDERS, ()) is None


def test_a_call_at_several_paths_is_at_none_that_we_could_choose() -> None:
    twice = [Route("GET", "/orders/all", "GetAllOrders"), Route("GET", "/v1/api/orders/all", "GetAllOrders")]
    assert resolve_path(ALL_ORDERS, twice) == "/v1/api/orders/all"
    assert resolve_path(ALL_ORDERS, [*twice, Route("GET", "/orders", "GetAllOrders")]) is None


PATHS = st.lists(
    st.sampled_from(["/", "v1", "api", "..", "{orderId}", "{account}", "{id}", "orders", "?", "%2e", "@", ":", "\\"]),
    max_size=9,
).map("".join)


@given(PATHS | st.text(max_size=40))
def test_no_catalogue_can_lead_out_of_the_api(path: str) -> None:
    ours = found(path)
    if ours is not None:
        address = ours.format(account="Sim101", order_id="a1")
        assert address.startswith("/v1/api/")
        assert "/a1" in address
        assert not set(address) & set("?#@%\\:{} ")
        assert "." not in address
        assert "//" not in address


def test_our_own_paths_are_what_they_are_in_their_catalogue() -> None:
    for rpc, endpoint in ENDPOINTS.items():
        if endpoint.path_is_assumed:
            assert found(endpoint.path, rpc) == endpoint.path
