"""What a rule is, what it may answer, and to which effects it applies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps

from ct_mcp.domain.approval import Finding, FindingKind
from ct_mcp.domain.bracket import Bracket
from ct_mcp.domain.commands import PlaceOrder, ProtectPosition
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import StartStrategy
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.denial import NO_QUOTE, DenialCode
from ct_mcp.guard.effect_model import Effect
from ct_mcp.guard.policy import Policy


@dataclass(frozen=True, slots=True)
class Denial:
    """A rule's no: a stable code and the figures that made it."""

    code: DenialCode
    figures: str

    def __str__(self) -> str:
        return f"{self.code}: {self.figures}"


@dataclass(frozen=True, slots=True)
class Passed:
    """A yes with its figures; ``finding`` is what the person should know all the same."""

    figures: str
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The rule has nothing to say of this command."""

    why: str


RuleAnswer = Passed | NotApplicable | Denial
Check = Callable[[Effect, RiskContext, Policy], RuleAnswer]
OrderCheck = Callable[[PlaceOrder, RiskContext, Policy], RuleAnswer]
InstrumentCheck = Callable[[Instrument, RiskContext, Policy], RuleAnswer]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a stable ``id`` for journals and tests, a ``title`` that a person can read, and its check."""

    id: str
    title: str
    check: Check

    def __call__(self, effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        """Judge one effect."""
        return self.check(effect, context, policy)


NO_ORDER = NotApplicable("sends no order")
ONLY_REDUCES = NotApplicable("only reduces")
EXIT = NotApplicable("an exit is never stopped by this")


def rule(rule_id: str, title: str) -> Callable[[Check], Rule]:
    """Name a check."""
    return lambda check: Rule(rule_id, title, check)


def warning(code: str, text: str) -> Finding:
    """Something to act on."""
    return Finding(FindingKind.WARNING, code, text)


def assumption(code: str, text: str) -> Finding:
    """How a figure was reckoned."""
    return Finding(FindingKind.ASSUMPTION, code, text)


def could_not_verify(code: str, text: str) -> Finding:
    """Something that decides and could not be looked at."""
    return Finding(FindingKind.COULD_NOT_VERIFY, code, text)


def on_orders(check: OrderCheck) -> Check:
    """Apply a check to every new order, to a changed one as it will stand, and to the new position of a reverse."""

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        return NO_ORDER if effect.order is None else check(effect.order, context, policy)

    return checked


def on_orders_that_open(check: OrderCheck) -> Check:
    """Apply a check to orders that may open or add; what is only known to reduce when it is known passes it."""

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        if effect.order is None:
            return NO_ORDER
        return ONLY_REDUCES if effect.only_reduces else check(effect.order, context, policy)

    return checked


def on_instruments(check: InstrumentCheck) -> Check:
    """Apply a check to the instrument that an order or a strategy trades; what is held may always be protected."""

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        instrument = instrument_traded(effect)
        return NO_ORDER if instrument is None else check(instrument, context, policy)

    return checked


def on_opening(check: Check) -> Check:
    """Apply a check to whatever sends orders, a strategy and a bracket as well, unless it is known to only reduce."""

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        if not effect.sends_orders:
            return NO_ORDER
        return ONLY_REDUCES if effect.only_reduces else check(effect, context, policy)

    return checked


def if_quoted(check: Check) -> Check:
    """Let what only reduces go on an old quote, and without one; what takes an order away first waits for a quote.

    An old quote refuses nothing that only protects: the market is quiet, or the data has stopped, and either is a bad
    time to stand without a stop.
    """

    @wraps(check)
    def checked(effect: Effect, context: RiskContext, policy: Policy) -> RuleAnswer:
        answer = check(effect, context, policy)
        if not isinstance(answer, Denial) or answer.code not in NO_QUOTE:
            return answer
        if not effect.only_reduces:
            return answer
        if answer.code is DenialCode.QUOTE_STALE:
            side = f"which side of the market it stands on, since the quote is old: {answer.figures}"
            return Passed("only reduces", could_not_verify(answer.code, side))
        if effect.takes_away_first:
            return answer
        return Passed("only reduces", could_not_verify(answer.code, answer.figures))

    return checked


def instrument_traded(effect: Effect) -> Instrument | None:
    """Give the instrument in which it may open something; None where none is meant or it is not known."""
    if effect.order is not None:
        return effect.order.instrument
    return effect.instrument if isinstance(effect.command, StartStrategy) else None


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices that a command carries, each under the name that the caller gave it."""

    instrument: Instrument
    given: tuple[tuple[str, Decimal], ...]


def prices_of(effect: Effect) -> Prices | None:
    """Give the prices of its order, or of the bracket; None where it carries none by its kind."""
    if isinstance(protect := effect.command, ProtectPosition):
        bracket = (("take_profit", protect.take_profit_price), ("stop_loss", protect.stop_loss_price))
        return Prices(protect.instrument, _given(bracket))
    if effect.order is None:
        return None
    own = prices_of_order(effect.order)
    return Prices(own.instrument, (*own.given, *_exit_prices(effect.order.bracket)))


def _exit_prices(bracket: Bracket | None) -> Iterator[tuple[str, Decimal]]:
    """Give the prices of the exits that go with an order, by the names of the arguments; a distance is none."""
    if bracket is not None:
        levels = (("stop_loss", bracket.stop_loss), *(("take_profit", target.level) for target in bracket.take_profit))
        yield from ((name, level) for name, level in levels if isinstance(level, Decimal))


def prices_of_order(order: PlaceOrder) -> Prices:
    """Its limit and its stop, as far as they are given."""
    return Prices(order.instrument, _given((("limit_price", order.limit_price), ("stop_price", order.stop_price))))


def _given(prices: tuple[tuple[str, Decimal | None], ...]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, price) for name, price in prices if price is not None)
