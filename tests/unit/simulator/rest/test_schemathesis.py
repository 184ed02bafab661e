"""Schemathesis reads the service's own description and looks for answers that it does not promise."""

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ct_mcp.simulator.clock import ManualClock
from ct_mcp.simulator.orders import Action, OrderLabels, OrderTerms, SimOrderType, SimTimeInForce
from ct_mcp.simulator.simulator import Simulator, SimulatorSettings

Case = schemathesis.Case[Any]
AUTHORIZED = {"Authorization": "Bearer t"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
BOUNDED = settings(
    max_examples=3, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


def _world() -> Simulator:
    """A simulator with a position of two, an order that rests, and the same ids every time."""
    clock = ManualClock(datetime(2026, 9, 9, 14, 30, tzinfo=UTC))
    sim = Simulator(seed=7, clock=clock, token="t", settings=SimulatorSettings(rate_limit=None))
    account, contract = sim.addon.account("Sim101"), sim.addon.contract("ES")
    held = OrderTerms(contract, Action.BUY, 2, SimOrderType.MARKET, SimTimeInForce.DAY)
    resting = OrderTerms(contract, Action.BUY, 1, SimOrderType.LIMIT, SimTimeInForce.DAY, limit_price=5000.0)
    for terms in (held, resting):
        sim.exchange.submit(account, terms, OrderLabels(rpc="PlaceOrder", name="Entry"), sim.addon.now)
        sim.advance(1)
    return sim


@cache
def _read() -> Simulator:
    """The one that all reads share, since none of them changes it."""
    return _world()


def _known() -> dict[str, str]:
    """Arguments that lead to something in that simulator."""
    sim = _world()
    ids = {"orderId": sim.exchange.orders[-1].id, "executionId": sim.exchange.executions[0].id}
    return {"account": "Sim101", "strategyId": sim.strategies.all[0].id} | ids


KNOWN = _known()
schema = schemathesis.openapi.from_asgi("/v1/api/openapi.json", _world().app, headers=AUTHORIZED)
schema.config.phases.coverage.unexpected_methods = set()  # 405 is looked at in test_app.py
SENSE = {"instrument": "ES 09-26", "strategyClass": "HoldLong", "mode": "account", "parameters": None}


def _led(case: Case) -> Case:
    """Lead most requests to what exists; a request is led or not by what it says alone."""
    case.path_parameters = {
        name: KNOWN[name] if len(str(value)) < 6 else value for name, value in case.path_parameters.items()
    }
    for fields in (each for each in (case.query, case.body) if isinstance(each, dict)):
        fields |= {name: known for name, known in SENSE.items() if len(str(fields.get(name, "not given"))) < 6}
    return case


def _expect_kept(case: Case, app: ASGIApp) -> None:
    """Send a request and hold the answer against the description."""
    answer = case.call(app=app, base_url="http://simulator", headers=AUTHORIZED)
    case.validate_response(answer, checks=CHECKS, headers=AUTHORIZED)


@pytest.mark.slow
@schema.parametrize()
@BOUNDED
def test_every_answer_is_one_that_the_description_promises(case: Case) -> None:
    _expect_kept(_led(case), (_read() if case.method == "GET" else _world()).app)


def _breaking(app: ASGIApp, status: int) -> ASGIApp:
    """Wrap a service: it answers with a status of its own to whoever asks for more than a week of bars."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()

        async def again() -> Message:
            return message

        said = json.loads(message.get("body") or b"{}")
        if isinstance(said, dict) and isinstance(said.get("daysBack"), int) and said["daysBack"] > 7:
            await JSONResponse({"error": "planted"}, status)(scope, again, send)
        else:
            await app(scope, again, send)

    return served


@pytest.mark.slow
@pytest.mark.parametrize(("status", "found"), [(500, "Server error"), (418, "Undocumented status code")])
def test_a_status_that_is_planted_is_found(status: int, found: str) -> None:
    planted = _breaking(_world().app, status)

    @settings(BOUNDED, max_examples=60)
    @given(schema["/v1/api/market/bars"]["POST"].as_strategy())
    def search(case: Case) -> None:
        _expect_kept(_led(case), planted)

    with pytest.raises(FailureGroup, match=found):
        search()
