"""Limits that some worlds have: a table for one account, a loss of the day that comes back, money of another currency.

They are drawn beside everything else, so that the stories of other worlds stay as they are.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any

from ct_mcp.crosstrade.failures import HttpAnswer
from ct_mcp.domain.market import trading_day
from ct_mcp.guard.policy import AccountPolicy, Limits, Policy
from ct_mcp.simulator.accounts import AccountSpec

MAX_POSITION = 8
_TABLE_POSITION = 3
_MONEY_OF_NO_LIMIT = Decimal(10**9)
_YEN, _DOLLAR_IN_YEN = "JapaneseYen", Decimal(150)
# Longer than it takes to write down what was read, on a slow disk.
_WRITTEN_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """What the settings say of the first account; nothing, in most worlds."""

    account: str
    most_held: int = MAX_POSITION
    day_loss: Decimal | None = None
    is_in_yen: bool = False
    dollar: Decimal | None = Decimal(1)

    def spec(self, spec: AccountSpec) -> AccountSpec:
        """The account as NinjaTrader has it."""
        return replace(spec, denomination=_YEN) if self.is_in_yen and spec.name == self.account else spec

    def settings(self, policy: Policy) -> Policy:
        """The policy with what they add to it: the name of the account is written in other letters than theirs."""
        limits = policy.limits
        if self.day_loss is not None:
            limits = replace(limits, max_day_loss=self.day_loss)
        if self.is_in_yen:
            rates = {} if self.dollar is None else {"USD": self.dollar}
            risk = limits.max_order_risk * _DOLLAR_IN_YEN / 10
            limits = replace(limits, max_order_risk=risk, max_order_notional=_MONEY_OF_NO_LIMIT, rates=rates)
        policy = replace(policy, limits=limits)
        if self.most_held == MAX_POSITION:
            return policy
        others = {name: table for name, table in policy.accounts.items() if name != self.account}
        table = AccountPolicy(limits={"max_position_contracts": self.most_held})
        return replace(policy, accounts={**others, self.account.swapcase(): table})

    def most_of(self, account: str) -> int:
        """Contracts that may be held at most."""
        return self.most_held if account == self.account else MAX_POSITION

    def worth(self, dollars: Decimal, account: str) -> Decimal | None:
        """Dollars in the money of an account; None where nobody has said what they are worth there."""
        if not self.is_in_yen or account != self.account:
            return dollars
        return None if self.dollar is None else dollars * self.dollar


def own_limits(chance: Random, account: str) -> OwnLimits:
    """Draw them."""
    drawn = chance.random()
    if drawn < 0.08:
        return OwnLimits(account, most_held=_TABLE_POSITION)
    if drawn < 0.16:
        return OwnLimits(account, is_in_yen=True, dollar=chance.choice((_DOLLAR_IN_YEN, _DOLLAR_IN_YEN, None)))
    return (
        OwnLimits(account, day_loss=chance.choice((Decimal(20), Decimal(40), Decimal(80))))
        if drawn < 0.4
        else (OwnLimits(account))
    )


class LossesRead:
    """What was read of the day's loss, by whoever of ours and wherever: once it has reached its limit nothing opens."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.max_day_loss
        self._reached: dict[str, list[tuple[float, date]]] = defaultdict(list)
        self._troubled: list[float] = []

    def hears(self, answer: HttpAnswer, at: float, today: datetime) -> None:
        """Take what the service has answered, as a process that lives has it."""
        for account, pnl in _figures(answer.body) if answer.status == 200 else ():
            if pnl <= -self._limit:
                self._reached[account].append((at, trading_day(today)))

    def is_troubled(self, at: float) -> None:
        """Something has kept what was just read from being written down: it is written when it is read again."""
        self._troubled.append(at)

    def was_reached(self, account: str, before: float, today: datetime) -> bool:
        """Say whether it was, on this trading day and long enough before."""
        return any(
            day == trading_day(today) and at + _WRITTEN_AFTER_SECONDS < before and not self._was_troubled(at)
            for at, day in self._reached[account]
        )

    def _was_troubled(self, since: float) -> bool:
        return any(since - 1.0 <= at <= since + _WRITTEN_AFTER_SECONDS for at in self._troubled)


def _figures(said: Any) -> Iterator[tuple[str, Decimal]]:
    """The accounts of an answer, each with its profit and loss of the day."""
    if isinstance(said, list):
        for row in said:
            yield from _figures(row)
    elif isinstance(said, dict):
        item = said.get("item")
        if "name" in said and isinstance(item, dict) and "realizedProfitLoss" in item:
            pnl = sum(Decimal(str(item[name])) for name in ("realizedProfitLoss", "unrealizedProfitLoss"))
            yield str(said["name"]), Decimal(pnl)
        for each in said.values():
            if isinstance(each, dict | list):
                yield from _figures(each)
