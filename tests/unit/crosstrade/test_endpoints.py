"""The table of endpoints."""

import re

from ct_mcp.crosstrade.endpoints import ENDPOINTS, REFERENCES

DOCUMENTS = {"_endpoints", "openapi.json", "openapi.yaml", "llms.txt", "llms-full.txt"}


def test_all_forty_one_endpoints_are_there_and_the_documents_besides() -> None:
    assert len(ENDPOINTS) == 40 + len(DOCUMENTS)
    assert set(REFERENCES) == DOCUMENTS
    assert set(ENDPOINTS) >= DOCUMENTS


def test_no_two_endpoints_share_a_route() -> None:
    assert len({(endpoint.method, endpoint.path) for endpoint in ENDPOINTS.values()}) == len(ENDPOINTS)


def test_every_get_reads_and_every_other_but_bars_writes() -> None:
    readers = {rpc for rpc, endpoint in ENDPOINTS.items() if not endpoint.writes}
    assert readers == {rpc for rpc, endpoint in ENDPOINTS.items() if endpoint.method == "GET"} | {"GetBars"}


def test_every_path_lies_under_the_api_and_names_only_what_we_fill_in() -> None:
    for endpoint in ENDPOINTS.values():
        assert endpoint.path.startswith("/v1/api/")
        assert set(re.findall(r"{(\w+)}", endpoint.path)) <= {"account", "order_id", "execution_id", "strategy_id"}


def test_only_reads_may_be_looked_for_at_another_path() -> None:
    assert not [endpoint for endpoint in ENDPOINTS.values() if endpoint.path_is_assumed and endpoint.writes]


def test_what_does_one_thing_and_then_another_is_marked() -> None:
    steps = {rpc for rpc, endpoint in ENDPOINTS.items() if endpoint.steps}
    assert steps == {"Reverse", "ReversePosition", "FlatPlace", "CancelReplace", "CancelAndBracket"}


def test_what_was_deduced_is_marked() -> None:
    deduced = {rpc for rpc, endpoint in ENDPOINTS.items() if "the path" in endpoint.assumed}
    assert deduced == {"GetAllOrders", "GetExecutionsByOrderId", "ListStrategies", "GetStrategy", "ListAllStrategies"}


def test_the_two_calls_that_reach_every_account_say_so() -> None:
    for rpc in ("FlattenEverything", "CancelAllOrders"):
        assert "NEVER CALLED" in ENDPOINTS[rpc].note
