"""Which link is broken, from what one read said."""

import pytest

from ct_mcp.domain.account import Account, AccountKind
from ct_mcp.errors import AuthFailed, AuthReason, BudgetExhausted, NotFound, Unavailable
from ct_mcp.server.account_queries import TradingStatus
from ct_mcp.server.links import CHAIN, broker_links, next_step, upstream_links


def _standing(name: str, connection: str | None) -> TradingStatus:
    account = Account(name, AccountKind.SIMULATED, connection_status=connection)
    return TradingStatus(account, (), "")


def test_all_links_hold_when_the_accounts_were_read() -> None:
    assert [(link.name, link.state) for link in upstream_links(None)] == [(name, "ok") for name in CHAIN]


def test_a_missing_token_leaves_even_the_first_link_unknown() -> None:
    links = upstream_links(AuthFailed("in whatever words", AuthReason.NO_TOKEN, next_step="set it"))
    assert [link.state for link in links] == ["unknown", "broken", "unknown", "unknown", "unknown"]
    assert "not asked" in links[0].why


def test_a_plan_without_the_api_is_told_from_a_wrong_token() -> None:
    links = upstream_links(AuthFailed("in whatever words", AuthReason.PLAN))
    assert [link.state for link in links] == ["ok", "ok", "broken", "unknown", "unknown"]


@pytest.mark.parametrize("words", ["HTTP 403", "your plan", "there is no token"])
def test_what_a_failure_says_moves_no_link(words: str) -> None:
    links = upstream_links(AuthFailed(words, AuthReason.TOKEN_REFUSED))
    assert [link.state for link in links] == ["ok", "broken", "unknown", "unknown", "unknown"]


def test_an_empty_budget_of_ours_says_nothing_of_the_service() -> None:
    assert {link.state for link in upstream_links(BudgetExhausted("empty"))} == {"unknown"}


def test_an_older_add_on_that_does_not_know_the_call_is_not_called_broken() -> None:
    links = upstream_links(NotFound("ListAccounts was refused"))
    assert [link.state for link in links] == ["ok", "ok", "ok", "unknown", "unknown"]


def test_brokers_are_told_apart() -> None:
    links = broker_links([_standing("A", "Connected"), _standing("B", "ConnectionLost"), _standing("C", None)])
    assert [(link.name, link.state) for link in links] == [
        ("broker of A", "ok"),
        ("broker of B", "broken"),
        ("broker of C", "unknown"),
    ]
    assert "ConnectionLost" in links[1].why


def test_the_next_step_is_about_the_failure_before_it_is_about_a_broker() -> None:
    lost = [_standing("B", "ConnectionLost")]
    assert next_step(Unavailable("no answer"), lost) == Unavailable.next_step
    assert "connect B in NinjaTrader" in next_step(None, lost)
    assert next_step(None, [_standing("A", "Connected"), _standing("C", None)]) == ""
