"""No sequence of commands that needs no yes leads further than what stood or was approved: on random books."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from ct_mcp.domain.account import Direction, Position
from ct_mcp.domain.commands import (
    CancelOrder,
    CancelOrders,
    ChangeOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    ProtectPosition,
    ReplaceOrder,
    ReversePosition,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.order import Order, OrderAction, OrderState, OrderType, TimeInForce
from ct_mcp.guard.context import PendingOrder, RiskContext
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.review import Review, review

ES = Instrument("ES", 2026, 12)
SELL, BUY = OrderAction.SELL, OrderAction.BUY
Sees = Callable[..., RiskContext]
Allows = Callable[..., Policy]


@dataclass
class Book:
    """An account as NinjaTrader keeps it: what is held, what works, and market orders that take their time."""

    net: int = 0
    orders: list[Order] = field(default_factory=list)
    on_the_way: list[int] = field(default_factory=list)
    number: int = 0

    def context(self, view: Sees) -> RiskContext:
        """The account as a review reads it: exits that have not filled are outstanding."""
        direction = Direction.LONG if self.net > 0 else Direction.SHORT
        held = (Position("Sim101", ES, direction, abs(self.net), Decimal(6400)),) if self.net else ()
        pending = tuple(PendingOrder(ES, signed, leaves=True) for signed in self.on_the_way)
        return view(positions=held, orders=tuple(self.orders), pending=pending)

    def reach(self) -> tuple[int, int]:
        """Where it can come to stand, trying every subset of fills; one of an exit pair at most."""
        choices = [[0, *(order.action.sign * order.remaining for order in group)] for group in self.groups()]
        ends = [self.net + sum(fills) for fills in product(*choices, *([0, signed] for signed in self.on_the_way))]
        return max(0, *ends, 0), max(0, *(-end for end in ends), 0)

    def groups(self) -> list[list[Order]]:
        """Orders that cannot fill together: a stop and a target around the position, in one group."""
        pairs: dict[tuple[str, OrderAction], list[Order]] = {}
        alone: list[list[Order]] = []
        for order in self.orders:
            if order.oco_id:
                pairs.setdefault((order.oco_id, order.action), []).append(order)
            else:
                alone.append([order])
        for group in pairs.values():
            stops = sum(order.order_type.needs_stop_price for order in group)
            leaves = all(o.action.sign * self.net < 0 and o.remaining <= abs(self.net) for o in group)
            is_pair = leaves and stops <= 1 and len(group) - stops <= 1
            alone += [group] if is_pair else [[order] for order in group]
        return alone

    def send(self, found: Review) -> None:
        """Do what the command does; exits at the market fill later."""
        effect = found.effect
        gone = {order.order_id for order in effect.cancels or ()}
        if effect.changes is not None and effect.order is not None:
            gone.add(effect.changes.order_id)
        self.orders = [order for order in self.orders if order.order_id not in gone]
        if effect.is_exit:
            self.on_the_way += [fill.signed_quantity for fill in effect.may_fill if fill.signed_quantity]
            return
        for leg in effect.legs or ():
            self.number += 1
            filled = effect.changes.filled if effect.changes else 0
            state = OrderState.WORKING
            self.orders.append(
                Order("Sim101", f"o{self.number}", ES, leg.action, leg.order_type, state, leg.quantity, filled,
                      leg.limit_price, leg.stop_price, oco_id=leg.oco_id)
            )  # fmt: skip

    def fill(self, place: int) -> None:
        """Let one order, or one exit on its way, fill whole; the rest of a pair goes with it."""
        if place < len(self.on_the_way):
            self.net += self.on_the_way.pop(place)
            return
        place -= len(self.on_the_way)
        if place >= len(self.orders):
            return
        order = self.orders[place]
        partners = next(group for group in self.groups() if order in group)
        self.net += order.action.sign * order.remaining
        self.orders = [other for other in self.orders if other not in partners]


@st.composite
def a_command(draw: st.DrawFn, book: Book) -> Command:
    """Anything that may be asked about this book."""
    size, price = draw(st.integers(1, 6)), Decimal(6400 + draw(st.integers(-40, 40)))
    action = draw(st.sampled_from([BUY, SELL]))
    kind = draw(st.sampled_from([OrderType.LIMIT, OrderType.STOP_MARKET, OrderType.MARKET]))
    limit = price if kind is OrderType.LIMIT else None
    stop = price if kind is OrderType.STOP_MARKET else None
    group = draw(st.sampled_from([None, "a", "b"]))
    order = PlaceOrder("Sim101", ES, action, size, kind, limit, stop, TimeInForce.DAY, group)
    named = draw(st.sampled_from([order.order_id for order in book.orders] or ["nobody"]))
    commands: list[Command] = [
        order,
        order,
        ChangeOrder("Sim101", named, quantity=size),
        ReplaceOrder("Sim101", named, order),
        CancelOrder("Sim101", named),
        CancelOrders("Sim101", ES),
        ClosePosition("Sim101", ES, quantity=size),
        ClosePosition("Sim101", ES, percent=Decimal(draw(st.integers(1, 100)))),
        ClosePosition("Sim101", ES),
        Flatten("Sim101", None),
        ReversePosition("Sim101", ES),
        ProtectPosition("Sim101", ES, Decimal(6500), Decimal(6300)),
    ]
    return draw(st.sampled_from(commands))


@st.composite
def a_book(draw: st.DrawFn) -> Book:
    """A position with orders that somebody approved."""
    book = Book(net=draw(st.integers(-5, 5)))
    for _ in range(draw(st.integers(0, 3))):
        book.number += 1
        kind = draw(st.sampled_from([OrderType.LIMIT, OrderType.STOP_MARKET]))
        book.orders.append(
            Order("Sim101", f"o{book.number}", ES, draw(st.sampled_from([BUY, SELL])), kind, OrderState.WORKING,
                  draw(st.integers(1, 4)), 0, Decimal(6400), Decimal(6400), oco_id=draw(st.sampled_from([None, "a"])))
        )  # fmt: skip
    return book


@settings(max_examples=3 * settings().max_examples)
@given(data=st.data())
def test_no_sequence_of_unasked_commands_leads_beyond_what_stood(
    view: Sees, policy: Allows, data: st.DataObject
) -> None:
    book = data.draw(a_book())
    longest, shortest = book.reach()
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            book.fill(data.draw(st.integers(0, 5)))
            # It may leave a pair larger than the position, which counts as two from then on: no command's doing.
            longest, shortest = map(max, (longest, shortest), book.reach())
            continue
        context = replace(book.context(view), halt=None)
        found = review(data.draw(a_command(book)), context, policy(max_position_contracts=50, max_order_contracts=50))
        asks_nobody = found.effect.only_reduces is True
        if found.passes and asks_nobody:
            book.send(found)
        long, short = book.reach()
        assert long <= longest, found.command
        assert short <= shortest, found.command


def held(net: int) -> Book:
    """A position and nothing else."""
    return Book(net=net)


def exit_order(size: int, kind: OrderType = OrderType.STOP_MARKET, oco_id: str | None = None) -> PlaceOrder:
    """Sell so many, at a stop or a limit."""
    limit = Decimal(6420) if kind is OrderType.LIMIT else None
    stop = Decimal(6390) if kind is OrderType.STOP_MARKET else None
    return PlaceOrder("Sim101", ES, SELL, size, kind, limit, stop, TimeInForce.DAY, oco_id)


def test_a_partial_close_beside_a_full_stop_is_judged_as_an_opening(view: Sees, policy: Allows) -> None:
    book = held(5)
    book.send(review(exit_order(5), book.context(view), policy()))
    found = review(ClosePosition("Sim101", ES, quantity=4), book.context(view), policy())
    assert (found.effect.only_reduces, found.effect.is_exit, found.effect.sends_orders) == (False, False, True)
    assert "change_order" in " ".join(map(str, found.findings)), "the way that asks nobody is named"
    first = review(ChangeOrder("Sim101", "o1", quantity=1), book.context(view), policy())
    assert first.effect.only_reduces is False, "a smaller stop leaves contracts bare, and that is asked about too"


def test_members_of_a_group_beyond_a_pair_do_not_only_reduce(view: Sees, policy: Allows) -> None:
    book = held(2)
    for kind in (OrderType.STOP_MARKET, OrderType.LIMIT):
        found = review(exit_order(2, kind, "g"), book.context(view), policy())
        assert found.effect.only_reduces is True
        book.send(found)
    third = review(exit_order(2, OrderType.LIMIT, "g"), book.context(view), policy())
    assert third.effect.only_reduces is False


def test_openers_in_one_group_count_each_against_the_limit(view: Sees, policy: Allows) -> None:
    book = Book()
    entry = replace(exit_order(5, OrderType.LIMIT, "g"), action=BUY, limit_price=Decimal(6395))
    book.send(review(entry, book.context(view), policy()))
    found = review(entry, book.context(view), policy(max_position_contracts=5))
    assert "POSITION_EXCEEDS_MAXIMUM" in {denial.code for denial in found.denials}


def test_a_second_exit_waits_for_the_first(view: Sees, policy: Allows) -> None:
    for command in (Flatten("Sim101", None), Flatten("Sim101", ES), ClosePosition("Sim101", ES)):
        book = held(2)
        first = review(command, book.context(view), policy())
        assert first.passes
        book.send(first)
        again = review(command, book.context(view), policy())
        assert [denial.code for denial in again.denials] == ["EXIT_ON_ITS_WAY"]


def test_what_an_exit_on_its_way_leaves_may_still_be_closed(view: Sees, policy: Allows) -> None:
    book = held(3)
    book.send(review(ClosePosition("Sim101", ES, quantity=1), book.context(view), policy()))
    (denial,) = review(ClosePosition("Sim101", ES), book.context(view), policy()).denials
    assert "close_position of ES 12-26 with quantity 2" in denial.figures
    rest = review(ClosePosition("Sim101", ES, quantity=2), book.context(view), policy())
    assert rest.effect.only_reduces is True
    book.send(rest)
    assert book.reach() == (3, 0)


def test_an_opener_on_its_way_keeps_no_exit_back(view: Sees, policy: Allows) -> None:
    waiting = replace(held(2).context(view), pending=(PendingOrder(ES, 2),))
    assert review(Flatten("Sim101", None), waiting, policy()).passes


def test_a_position_that_is_listed_twice_is_not_reduced_unasked(view: Sees, policy: Allows) -> None:
    torn = held(2).context(view)
    torn = replace(torn, positions=(torn.positions or ()) * 2)
    found = review(exit_order(4), torn, policy())
    assert found.effect.only_reduces is None
    assert "POSITION_UNKNOWN" in {denial.code for denial in found.denials}
    part = review(ClosePosition("Sim101", ES, quantity=1), torn, policy())
    assert "POSITION_UNKNOWN" in {denial.code for denial in part.denials}
    assert review(Flatten("Sim101", None), torn, policy()).passes, "all of it may still be left"
