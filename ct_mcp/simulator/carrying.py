"""Carrying out one call, whichever way it came in: the same arguments, the same faults, the same answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.responses import Response

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.faults import Fault
from ct_mcp.simulator.misbehaviour import AFTER, BEFORE, answer_of, distorted, json_answer
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.endpoints import Endpoint

INVALID = Refusal(400, "Invalid request")


def misbehave_before(addon: AddOn, endpoint: Endpoint) -> Response | None:
    """Answer instead of the add-on, if a fault wants that; nothing happens then."""
    fault = addon.faults.first_due(BEFORE, endpoint.rpc)
    if fault is None and endpoint.needs_addon and addon.faults.take(Fault.ADDON_OFFLINE, endpoint.rpc):
        fault = Fault.ADDON_OFFLINE
    return answer_of(fault) if fault else None


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a call: its answer, and whether that is to be held back until it is released."""

    response: Response
    is_slow: bool = False


async def carried_out(addon: AddOn, endpoint: Endpoint, said: Callable[[], Mapping[str, object]]) -> Carried:
    """Do what is asked and answer, as the faults allow; `said` gives the arguments or refuses."""
    status, body = await _asked(addon, endpoint, said)
    fault = addon.faults.first_due(AFTER, endpoint.rpc)
    if fault is not None and fault is not Fault.SLOW_ANSWER:
        return Carried(answer_of(fault))
    response = json_answer(status, distorted(addon.faults, endpoint.rpc, status, body))
    return Carried(response, is_slow=fault is Fault.SLOW_ANSWER)


async def _asked(addon: AddOn, endpoint: Endpoint, said: Callable[[], Mapping[str, object]]) -> tuple[int, object]:
    """Ask the add-on; the status and the body of its answer."""
    try:
        return 200, await addon.finished(endpoint.call(addon, endpoint.takes.model_validate(said())))
    except Refusal as refusal:
        return refusal.status, refusal.body
    except ValidationError:
        return INVALID.status, INVALID.body
