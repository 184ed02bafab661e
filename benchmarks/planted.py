"""Known faults, each put back by a few lines: the campaign is as good as what it finds of them.

A plant names the attributes that it replaces, and what the campaign must say of it. It is replanted in every episode.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import planted_faults as faults
from virtual_world import replaced

from ct_mcp.crosstrade.reads import ReadOnlyClient
from ct_mcp.desk import approval, context, execution, readback, stops
from ct_mcp.desk import desk as desk_module
from ct_mcp.desk.desk import Desk
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.fills_seen import FillsSeen
from ct_mcp.desk.handlers import orders as order_handlers
from ct_mcp.desk.handlers.everywhere import ReadBackOfAll
from ct_mcp.desk.polling import AccountPoller
from ct_mcp.desk.recent_reviews import RecentReviews
from ct_mcp.desk.recognition import Ours
from ct_mcp.domain.order import IN_MARKET
from ct_mcp.guard import effect, effect_model, exposure, figures, review
from ct_mcp.guard.context import RiskContext
from ct_mcp.guard.policy import Policy
from ct_mcp.guard.rules import limits, order
from ct_mcp.store import tickets
from ct_mcp.web.accounts import AccountReader

Place = tuple[Any, str]


@dataclass(frozen=True, slots=True)
class Plant:
    """One fault. ``kinds`` are those of a finding that it leads to, ``words`` what such a finding says.

    ``weather`` is what goes wrong more often while it is looked for, where it is met too seldom else.
    """

    what: str
    put: dict[Place, Any]
    kinds: tuple[str, ...]
    words: tuple[str, ...] = ()
    weather: str = ""

    def planted(self) -> AbstractContextManager[None]:
        """Have it in place."""
        return replaced(self.put)

    def is_found_by(self, kind: str, what: str) -> bool:
        """Say whether a finding is one of this fault."""
        return kind in self.kinds and (not self.words or any(word in what for word in self.words))


PLANTS = {
    "exits-by-verb": Plant(
        "a partial close is an exit by its verb, whatever orders stand",
        {(effect, "_close"): faults.by_its_verb(effect._close)},
        ("exposure",),
        ("ClosePosition",),
    ),
    "reverse-without-size": Plant(
        "a yes to a reverse or a flatten first is not bound to the sizes that it showed",
        {(approval, "_sizes"): lambda _: []},
        ("exposure",),
        ("shown were", "limit"),
    ),
    "lists-alone": Plant(
        "flat is said by the lists alone",
        {(AccountPoller, "borne_out"): faults.as_listed},
        ("false flat", "false cancelled", "hidden fill"),
    ),
    "flat-though-more-comes": Plant(
        "an account is called flat while something of ours is on its way",
        {(execution, "with_outstanding"): faults.as_it_was},
        ("unnamed", "false flat"),
        ("may still come", "said flat"),
    ),
    "replaced-and-bare": Plant(
        "rejected or replaced is said without a look at what stands",
        {
            (CommandExecution, "with_what_stands"): faults.told_alone,
            (readback, "with_what_stands"): faults.as_it_was,
        },
        ("unprotected",),
    ),
    "cancel-hides-fill": Plant(
        "cancelled is said where no order is left, whatever filled meanwhile",
        {(readback, "from_cancels"): faults.cancelled},
        ("hidden fill",),
    ),
    "other-words": Plant(
        "only the same command is held back while an outcome is unknown",
        {(limits, "_unresolved_beside"): faults.nothing},
        ("twice",),
        ("while the outcome of",),
    ),
    "fill-not-shown-yet": Plant(
        "a fill is forgotten although the positions do not show it yet",
        {
            (execution, "is_shown"): faults.always,
            (order_handlers, "is_shown"): faults.always,
            (FillsSeen, "are_more"): faults.never,
            (FillsSeen, "may_be_unreported"): faults.never,
            (FillsSeen, "not_shown"): faults.nothing,
        },
        ("exposure",),
    ),
    "group-holds-anything": Plant(
        "of one OCO group only the largest member counts",
        {(exposure, "_is_exit_pair"): faults.always},
        ("exposure",),
    ),
    "band-loosens-risk": Plant(
        "the risk of an order is taken over the price band",
        {(limits, "risk_of"): faults.risk_over_the_band},
        ("risk",),
    ),
    "blind-market-order": Plant(
        "an order is sent however far bid and ask are from the last trade",
        {(review, "RULES"): faults.without(review.RULES, "spread-near")},
        ("odd quote",),
        ("wide",),
    ),
    "two-exits-at-once": Plant(
        "what is on its way and of unknown outcome does not count",
        {(context, "pending_orders"): faults.nothing, (context, "whole_exits"): faults.nothing},
        ("exposure",),
    ),
    "endless-questions": Plant(
        "any number of questions waits for the person at once",
        {(desk_module, "MOST_WAITING"): 1000},
        ("tired",),
    ),
    "yes-takes-others": Plant(
        "a yes to the cancel of one order takes orders that were not shown",
        {(approval, "_other_cancels"): faults.nothing},
        ("not shown",),
    ),
    "rows-added-up": Plant(
        "a position that is listed twice counts twice",
        {(RiskContext, "net_position"): faults.rows_added},
        ("exposure",),
    ),
    "each-month-alone": Plant(
        "the position limit is that of one contract month",
        {(order, "_is_month_of"): faults.never},
        ("exposure",),
        ("limit",),
    ),
    "anybodys-order": Plant(
        "an order is taken for ours whatever it is",
        {(Ours, "__call__"): faults.always, (AccountPoller, "_listed"): faults.not_listed},
        ("false order", "false filled", "false rejected", "false working", "false cancelled"),
    ),
    "worth-may-change": Plant(
        "a contract that is worth something else than before is traded",
        {(review, "RULES"): faults.without(review.RULES, "contract-facts")},
        ("odd quote",),
        ("worth",),
    ),
    "ticket-of-another": Plant(
        "a ticket of another service in the same folder is found and spent",
        {
            (tickets, "_BY_ID"): faults.for_anybody(tickets._BY_ID),
            (tickets, "_SPEND"): faults.for_anybody(tickets._SPEND),
        },
        ("stranger",),
    ),
    "loss-only-at-a-review": Plant(
        "the day's loss is noted where an order is reviewed, and not where it is looked at",
        {(AccountReader, "__init__"): faults.shown_alone, (ReadOnlyClient, "tell_figures"): lambda *_: None},
        ("day loss",),
    ),
    "table-of-exact-letters": Plant(
        "the limits of an account hold only where its name is written exactly so",
        {(Policy, "account_named"): faults.in_its_letters},
        ("exposure",),
        ("limit 3",),
    ),
    "money-without-currency": Plant(
        "money of one currency is held against limits in another",
        {(figures, "rate_in"): faults.one_for_one},
        ("risk",),
    ),
    "same-exit-again": Plant(
        "an exit that is on its way does not keep the same exit from leaving again",
        {(effect_model, "_exits_on_the_way"): faults.nothing},
        ("exposure",),
        ("Flatten", "ClosePosition"),
    ),
    "asked-without-the-fill": Plant(
        "a question does not name what filled in the instrument a while ago",
        {(desk_module, name): faults.no_fills for name in ("fills_beside", "has_filled_meanwhile")},
        ("unnamed",),
        ("the question",),
    ),
    "spent-is-a-refusal": Plant(
        "of a spent ticket it is said that nothing was sent",
        {(Desk, "became_of"): faults.refuses_the_spent},
        ("false no",),
    ),
    "old-review": Plant(
        "a yes within two seconds is sent on the review from before the question",
        {(RecentReviews, "take"): faults.whoever_was_asked},
        ("exposure", "not shown"),
    ),
    "flat-one-by-one": Plant(
        "flat everywhere is put together from readings of different moments",
        {(ReadBackOfAll, "_look_afterwards"): faults.looks_no_more, (ReadBackOfAll, "_is_early"): faults.never},
        ("false flat",),
        ("everywhere",),
    ),
    "left-one-by-one": Plant(
        "an account is left once the one before it was read back",
        {(Desk, "_leave_all"): faults.one_after_the_other},
        ("late",),
    ),
    "risk-state-is-no-stop": Plant(
        "a stop in a state that few know of is told as missing",
        {(stops, "STANDS"): IN_MARKET},
        ("false cry",),
        weather="ODD_STATE",
    ),
    "exit-sent-as-entry": Plant(
        "what was approved as an exit is sent as an entry",
        {(approval, "_other_orders"): faults.sizes_alone, (order_handlers, "that_must_stand"): lambda *_: None},
        ("exposure",),
        ("shown as an exit",),
    ),
    "own-limit-shown-only": Plant(
        "the account's own limits are shown and not obeyed",
        {(review, "RULES"): faults.without(review.RULES, "own-order-size", "own-position-size")},
        ("own limit",),
    ),
}
"""By the name that ``--planted`` takes."""
