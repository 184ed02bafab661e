"""An afternoon in ES at 6400.00, as it is known to the guard; each test changes what it is about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from ct_mcp.domain.account import Account, Position
from ct_mcp.domain.commands import PlaceOrder
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.market import Quote, Session
from ct_mcp.domain.order import Order
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.policy import Limits, Mode, Policy
from ct_mcp.guard.review import Result, Review, RuleResult
from tests import factories
from tests.factories import ES, NOW


@pytest.fixture(scope="session")
def now() -> datetime:
    """A Monday in the session, 09:30 in Chicago."""
    return NOW


@pytest.fixture(scope="session")
def es() -> Instrument:
    """The contract that the view quotes."""
    return ES


@pytest.fixture(scope="session")
def quote() -> Quote:
    """6399.75 bid, 6400.25 asked, 6400.00 last, a second ago."""
    return factories.quote()


@pytest.fixture(scope="session")
def session() -> Session:
    """Open for six more hours."""
    return factories.session()


@pytest.fixture(scope="session")
def account() -> Account:
    """A connected simulated account with a small gain."""
    return factories.account()


@pytest.fixture(scope="session")
def view() -> Callable[..., RiskContext]:
    """A flat, quiet, fully read view; every argument replaces one thing that is known."""
    return factories.context


@pytest.fixture(scope="session")
def policy() -> Callable[..., Policy]:
    """The policy of a fresh installation; arguments replace limits, or the mode."""
    return lambda mode=Mode.SIM, accounts=None, **limits: Policy(
        mode=mode, accounts=accounts or {}, limits=replace(Limits(), **limits)
    )


@pytest.fixture(scope="session")
def place() -> Callable[..., PlaceOrder]:
    """BUY 1 at the market; prices may be given as text."""

    def build(**changes: Any) -> PlaceOrder:
        return factories.changed(factories.place_order(), changes)

    return build


@pytest.fixture(scope="session")
def resting() -> Callable[..., Order]:
    """An order that works in ES, a BUY LIMIT of one at 6390 unless said otherwise."""
    return factories.order


@pytest.fixture(scope="session")
def stop() -> Callable[..., Order]:
    """A SELL STOP MARKET that works at 6380, for one contract unless said otherwise."""
    return factories.stop_order


@pytest.fixture(scope="session")
def held() -> Callable[..., tuple[Position, ...]]:
    """What the account holds, signed, in ES or another instrument."""
    return factories.positions


@pytest.fixture(scope="session")
def verdict() -> Callable[[Review, str], RuleResult]:
    """The result of one rule by its id."""

    def find(review: Review, rule: str) -> RuleResult:
        return next(result for result in review.results if result.rule.id == rule)

    return find


@pytest.fixture(scope="session")
def codes() -> Callable[[Review], set[str]]:
    """The codes of all denials, once it is certain that each stands in a verdict."""

    def read(review: Review) -> set[str]:
        denied = {verdict.figures for verdict in review.results if verdict.result is Result.DENIED}
        assert denied == {str(denial) for denial in review.denials}
        return {denial.code for denial in review.denials}

    return read
