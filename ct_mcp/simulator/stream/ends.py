"""How a connection ends; of the reasons only "Session active elsewhere" is known, and of the codes only 1008."""

from ct_mcp.simulator.faults import Disturbance, Faults
from ct_mcp.simulator.stream.habits import StreamHabits
from ct_mcp.simulator.stream.outbox import Closing

CUT = Closing(None)
TOO_MANY_VIOLATIONS = Closing(1008, "Too many rate limit violations")
_ENDS = {
    Disturbance.SOCKET_CUT: CUT,
    Disturbance.SOCKET_CLOSED: Closing(1012, "Service restart"),
    Disturbance.SOCKET_BANNED: TOO_MANY_VIOLATIONS,
}


def elsewhere(habits: StreamHabits) -> Closing:
    """End a connection because another one has taken its place."""
    return Closing(habits.elsewhere_code, "Session active elsewhere")


def end_due(faults: Faults, habits: StreamHabits) -> Closing | None:
    """Let a disturbance strike that ends the connection."""
    fault = next((each for each in (*_ENDS, Disturbance.SESSION_ELSEWHERE) if faults.take(each)), None)
    if fault is None:
        return None
    return _ENDS.get(fault) or elsewhere(habits)
