"""What came of one write before anything was read back: taken, refused or not known; and how it is written down."""

from dataclasses import dataclass

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.crosstrade.schemas.strategies import StrategyAcknowledged
from ct_mcp.errors import NotFound, OrderRejected, OutcomeUnknown
from ct_mcp.store.journal import EntryKind


@dataclass(frozen=True, slots=True)
class Submission:
    """What came of one write: an acknowledgement, their no, or nothing that can be trusted."""

    acknowledged: Acknowledged | StrategyAcknowledged | None = None
    refusal: OrderRejected | NotFound | None = None
    unknown: OutcomeUnknown | None = None
    trouble: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The service's own warning, labelled as its words, and trouble of ours."""
        warning = self.acknowledged.warning if self.acknowledged else None
        return (*((f'CrossTrade warns: "{warning}"',) if warning else ()), *self.trouble)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not an acknowledgement."""
        failure = self.refusal or self.unknown
        return (failure.what,) if failure else ()

    @property
    def taken(self) -> Acknowledged:
        """What they said of orders and positions when they took it; nothing where they did not."""
        return self.acknowledged if isinstance(self.acknowledged, Acknowledged) else Acknowledged()

    @property
    def order_id(self) -> str | None:
        """The order that they named first."""
        return self.unknown.order_id if self.unknown else next(iter(self.taken.order_ids), None)

    @property
    def strategy_id(self) -> str | None:
        """The strategy that they named."""
        return self.acknowledged.strategy_id if isinstance(self.acknowledged, StrategyAcknowledged) else None


def kind_of(answer: Submission) -> EntryKind:
    """Say as what it is written down."""
    if answer.unknown:
        return EntryKind.UNKNOWN
    return EntryKind.ANSWERED if answer.refusal else EntryKind.ACCEPTED


def detail_of_answer(answer: Submission, step: str) -> dict[str, object]:
    """Give what is written down of it, beside the step of the command that it is of."""
    named: dict[str, object] = {"step": step, "order_id": answer.order_id}
    if answer.strategy_id is not None:
        named["strategy_id"] = answer.strategy_id
    return {**named, "reasons": answer.reasons, "warnings": answer.warnings}
