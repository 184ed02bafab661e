"""What a status says of the wire."""

import pytest

from ct_mcp.desk.outcome import Outcome, Status

NOT_SENT = {Status.DENIED, Status.NEEDS_APPROVAL, Status.DECLINED, Status.EXPIRED, Status.SET}


@pytest.mark.parametrize("status", Status)
def test_only_an_unknown_outcome_does_not_know_whether_it_was_sent(status: Status) -> None:
    assert status.sent is (None if status is Status.UNKNOWN else status not in NOT_SENT)


def test_what_was_not_read_is_none_and_never_zero_or_flat() -> None:
    outcome = Outcome(Status.ACCEPTED, "SIM  Sim101  BUY 1 MES 09-26 MARKET", simulated=True)
    assert outcome.position_after is None
    assert outcome.filled_quantity is None
    assert outcome.order_state is None
