"""Strategies and templates as the service spells them, and what starts a strategy.

The rows are not documented, so what decides nothing is read where it can be; whose strategy it is has to be there.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import AliasChoices, Field, PlainValidator

from ct_mcp.crosstrade.schemas.reply import Reply, WireModel
from ct_mcp.crosstrade.schemas.values import (
    AskedAccount,
    MaybeFlag,
    MaybeLabel,
    MaybeText,
    RowInfo,
    Text,
    dated_instrument,
    json_number,
    parse_text,
)
from ct_mcp.domain.instrument import Instrument
from ct_mcp.domain.strategy import HostMode, ParameterValue, StartStrategy, Strategy, StrategyState
from ct_mcp.errors import BadRequest
from ct_mcp.text import normalize, sanitize

_ID = ("strategyId", "id")
_STATES = {normalize(state): state for state in StrategyState}
_MODES = {mode.value: mode for mode in HostMode} | {"headless": HostMode.ACCOUNT}
_BARE_NAME = re.compile(r"[^\W\d]\w{0,99}")


def _state(value: object) -> StrategyState:
    return _STATES.get(normalize(parse_text(value) or ""), StrategyState.UNKNOWN)


def _host_mode(value: object) -> HostMode | None:
    return _MODES.get(normalize(parse_text(value) or ""))


def _maybe_instrument(value: object, info: RowInfo) -> Instrument | None:
    try:
        return dated_instrument(value, info)
    except ValueError:
        return None


def _parameters(value: object) -> tuple[tuple[str, str], ...]:
    """Its properties as texts. Each is cleaned with its name, since a name tells that its value is a secret."""
    given = value if isinstance(value, dict) else {}
    told = (sanitize(f"{name}={_parameter_text(each)}", longest=160) for name, each in given.items())
    return tuple((name, text) for name, _, text in (each.partition("=") for each in told))


def _parameter_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class WireStrategy(WireModel):
    """One strategy. Whether it is enabled is not guessed from its state."""

    account: AskedAccount = ""
    strategy_id: Text = Field(validation_alias=AliasChoices(*_ID))
    state: Annotated[StrategyState, PlainValidator(_state)] = StrategyState.UNKNOWN
    is_enabled: MaybeFlag = None
    class_name: MaybeLabel = Field(default=None, validation_alias=AliasChoices("strategyClass", "className"))
    name: MaybeLabel = Field(default=None, validation_alias=AliasChoices("displayName", "name"))
    instrument: Annotated[Instrument | None, PlainValidator(_maybe_instrument)] = None
    host_mode: Annotated[HostMode | None, PlainValidator(_host_mode)] = Field(
        default=None, validation_alias=AliasChoices("hostMode", "mode")
    )
    parameters: Annotated[tuple[tuple[str, str], ...], PlainValidator(_parameters)] = ()

    def strategy(self) -> Strategy:
        """Give it in our words."""
        return Strategy(**vars(self))


class WireStrategyAcknowledgement(WireModel):
    """What comes back from a request about a strategy."""

    account: AskedAccount = ""
    strategy_id: MaybeText = Field(default=None, validation_alias=AliasChoices(*_ID))
    was_enabled: MaybeFlag = None
    is_enabled: MaybeFlag = None
    state: Annotated[StrategyState, PlainValidator(_state)] = StrategyState.UNKNOWN


@dataclass(frozen=True, slots=True)
class StrategyAcknowledged:
    """They took a request about a strategy; what it does now has to be read back. None is what they do not say."""

    strategy_id: str | None
    was_enabled: bool | None = None
    is_enabled: bool | None = None
    state: StrategyState = StrategyState.UNKNOWN
    warning: str | None = None


def parse_strategies(reply: Reply, asked: str | None) -> tuple[Strategy, ...]:
    """Read every strategy of one account, or of all where ``asked`` is None."""
    return tuple(row.strategy() for row in reply.rows("strategies", WireStrategy, asked))


def parse_asked_strategy(reply: Reply, asked: str, strategy_id: str) -> Strategy:
    """Read the strategy that was asked for, and no other."""
    strategy = reply.single("strategy", WireStrategy, _ID, asked).strategy()
    if strategy.strategy_id != strategy_id:
        reply.refuse("it is another strategy than the one that was asked for")
    return strategy


def parse_strategy_acknowledgement(reply: Reply, asked: str, strategy_id: str | None) -> StrategyAcknowledged:
    """Read an acknowledgement; the strategy and the account that it names must be those that were asked for.

    Raises:
        BadReply: It does not prove that the request was taken.
    """
    if not reply.succeeded:
        reply.refuse("success is not claimed")
    row = reply.whole(WireStrategyAcknowledgement, asked)
    if strategy_id is not None and row.strategy_id not in (None, strategy_id):
        reply.refuse("it is of another strategy than the one that was named")
    return StrategyAcknowledged(row.strategy_id, row.was_enabled, row.is_enabled, row.state, reply.warning)


def parse_templates(reply: Reply) -> tuple[str, ...]:
    """Read the names of ATM templates as they are, since an order must carry exactly one of them."""
    return reply.texts("templates")


def start_body(start: StartStrategy) -> dict[str, object]:
    """Write what is started, on which bars, with which properties changed.

    Raises:
        BadRequest: A name is no bare name of NinjaScript, or the period counts nothing.
    """
    for name in (start.strategy_class, *(name for name, _ in start.parameters)):
        if not _BARE_NAME.fullmatch(name):
            raise BadRequest(f"{sanitize(name, longest=40)!r} is no bare name of a strategy class or a parameter")
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
    return json_number(name, value) if isinstance(value, Decimal) else value
