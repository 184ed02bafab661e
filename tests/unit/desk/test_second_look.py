"""Before a stop is told as lost: the fill that took it along may be newer than the position beside it."""

from collections.abc import Callable
from decimal import Decimal
from typing import cast

import pytest

from ct_mcp.desk.polling import AccountPoller, AccountState
from ct_mcp.desk.second_look import looked_again
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review, review
from tests import factories
from tests.unit.desk.conftest import MES, Holds, Stands

STOP = {"order_type": OrderType.STOP_MARKET, "limit_price": None, "stop_price": Decimal(5990)}


class Poller:
    """Gives what is read now, and counts how often it was asked."""

    def __init__(self, now: AccountState | None) -> None:
        self.now, self.asked = now, 0

    async def book_now(self, _: str, __: Instrument | None) -> AccountState | None:
        self.asked += 1
        return self.now

    @property
    def as_poller(self) -> AccountPoller:
        return cast(AccountPoller, self)


@pytest.fixture
def sell(standing: Stands) -> Callable[..., Order]:
    """An exit of two contracts, long."""
    return lambda order_id, **more: standing(order_id, **{"action": OrderAction.SELL, "quantity": 2, **more})


@pytest.fixture
def reviewed(holding: Holds, sell: Callable[..., Order]) -> Review:
    """An order beside a pair around two contracts."""
    pair = (sell("stop", oco_id="pair", **STOP), sell("target", oco_id="pair"))
    context = RiskContext(factories.NOW, positions=(holding(2),), orders=pair)
    return review(factories.place_order(instrument=MES, limit="5980"), context, Policy())


@pytest.mark.parametrize("filled", [1, 2])
async def test_a_position_that_its_target_has_left_meanwhile_is_read_once_more(
    reviewed: Review, holding: Holds, sell: Callable[..., Order], filled: int
) -> None:
    target = sell("target", filled=filled, state=OrderState.FILLED if filled == 2 else OrderState.CANCELLED)
    poller = Poller(AccountState((), (), over=(target,)))
    told = await looked_again(poller.as_poller, reviewed, AccountState((holding(2),), (), over=(target,)), MES)
    assert (told, poller.asked) == (poller.now, 1)


async def test_what_cannot_be_read_again_stays_as_it_was_read(
    reviewed: Review, holding: Holds, sell: Callable[..., Order]
) -> None:
    read = AccountState((holding(2),), (), over=(sell("target", filled=2, state=OrderState.FILLED),))
    assert await looked_again(Poller(None).as_poller, reviewed, read, MES) == read


async def test_a_stop_that_is_gone_alone_is_cried_at_once(
    reviewed: Review, holding: Holds, sell: Callable[..., Order]
) -> None:
    gone, of_before = sell("stop", state=OrderState.CANCELLED, **STOP), sell("old", filled=2, state=OrderState.FILLED)
    read, poller = AccountState((holding(2),), (sell("target"),), over=(gone, of_before)), Poller(None)
    assert await looked_again(poller.as_poller, reviewed, read, MES) == read
    assert poller.asked == 0


async def test_nothing_is_read_again_where_the_stop_still_stands(
    reviewed: Review, holding: Holds, sell: Callable[..., Order]
) -> None:
    target = sell("target", filled=1, state=OrderState.PART_FILLED)
    read, poller = AccountState((holding(1),), (sell("stop", quantity=1, **STOP), target)), Poller(None)
    assert await looked_again(poller.as_poller, reviewed, read, MES) == read
    assert poller.asked == 0
