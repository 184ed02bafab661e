"""Their strategies and templates → ours, and what starts a strategy.

The rows are not documented, so what decides nothing is read where it can be; whose strategy it is has to be there.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from ct_mcp.crosstrade.wire import number_field
from ct_mcp.crosstrade.wire_row import Reply, Row
from ct_mcp.crosstrade.words import cleaned, folded
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import HostMode, ParameterValue, StartStrategy, Strategy, StrategyState
from ct_mcp.errors import BadReply, BadRequest

_ID = ("strategyId", "id")
_STATES = {folded(state): state for state in StrategyState}
_MODES = {mode.value: mode for mode in HostMode} | {"headless": HostMode.ACCOUNT}
_BARE_NAME = re.compile(r"[^\W\d]\w{0,99}")


@dataclass(frozen=True, slots=True)
class StrategyAcknowledged:
    """They took a request about a strategy; what it does now has to be read back. None is what they do not say."""

    strategy_id: str | None
    was_enabled: bool | None = None
    is_enabled: bool | None = None
    state: StrategyState = StrategyState.UNKNOWN
    warning: str | None = None


def strategies_in(reply: Reply, asked: str | None) -> tuple[Strategy, ...]:
    """Every row of one account, or of all where ``asked`` is None."""
    return tuple(strategy_in(row, asked) for row in reply.rows("strategies"))


def asked_strategy_in(reply: Reply, asked: str, strategy_id: str) -> Strategy:
    """The strategy that was asked for, and no other."""
    row = reply.single("strategy", *_ID)
    strategy = strategy_in(row, asked)
    if strategy.strategy_id != strategy_id:
        row.refuse("it is another strategy than the one that was asked for")
    return strategy


def strategy_in(row: Row, asked: str | None) -> Strategy:
    """One strategy. Whether it is enabled is not guessed from its state."""
    return Strategy(
        account=row.account(asked),
        strategy_id=row.text(*_ID),
        state=_state(row),
        is_enabled=row.flag("isEnabled"),
        class_name=row.label("strategyClass") or row.label("className"),
        name=row.label("displayName") or row.label("name"),
        instrument=_instrument(row),
        host_mode=_MODES.get(folded(row.text_or_none("hostMode", "mode") or "")),
        parameters=_parameters(row),
    )


def acknowledged_strategy_in(reply: Reply, asked: str, strategy_id: str | None) -> StrategyAcknowledged:
    """Read an acknowledgement; the strategy and the account that it names must be those that were asked for.

    Raises:
        BadReply: It does not prove that the request was taken.
    """
    top = reply.top
    if not reply.succeeded:
        top.refuse("success is not claimed")
    top.account(asked)
    named = top.text_or_none(*_ID)
    if strategy_id is not None and named not in (None, strategy_id):
        top.refuse("it is of another strategy than the one that was named")
    return StrategyAcknowledged(named, top.flag("wasEnabled"), top.flag("isEnabled"), _state(top), reply.warning)


def templates_in(reply: Reply) -> tuple[str, ...]:
    """The names of ATM templates as they are, since an order must carry exactly one of them."""
    return reply.texts("templates")


def start_body(start: StartStrategy) -> dict[str, object]:
    """What is started, on which bars, with which properties changed.

    Raises:
        BadRequest: A name is no bare name of NinjaScript, or the period counts nothing.
    """
    for name in (start.strategy_class, *(name for name, _ in start.parameters)):
        if not _BARE_NAME.fullmatch(name):
            raise BadRequest(f"{cleaned(name, longest=40)!r} is no bare name of a strategy class or a parameter")
    if start.period < 1:
        raise BadRequest(f"period must be 1 or more, found {start.period}")
    body: dict[str, object] = {
        "strategyClass": start.strategy_class,
        "instrument": str(start.instrument),
        "mode": start.mode.value,
        "periodType": start.bar_type.value.capitalize(),
        "period": start.period,
    }
    parameters = {name: _parameter(name, value) for name, value in start.parameters}
    return {**body, "parameters": parameters} if parameters else body


def _parameter(name: str, value: ParameterValue) -> object:
    return number_field(name, value) if isinstance(value, Decimal) else value


def _state(row: Row) -> StrategyState:
    return _STATES.get(folded(row.text_or_none("state") or ""), StrategyState.UNKNOWN)


def _instrument(row: Row) -> Instrument | None:
    try:
        return row.instrument()
    except BadReply:
        return None


def _parameters(row: Row) -> tuple[tuple[str, str], ...]:
    """Its properties as texts. Each is cleaned with its name, since a name tells that its value is a secret."""
    told = (cleaned(f"{name}={_text(value)}", longest=160) for name, value in row.sub("parameters").values.items())
    return tuple((name, value) for name, _, value in (text.partition("=") for text in told))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
