"""The add-on's own record of every order: what was asked, and each state that followed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ct_mcp.simulator.orders import Execution, Order, OrderState


@dataclass(slots=True)
class Submission:
    """One call that reached the add-on, with what it said; `order` is what came of it."""

    at: datetime
    rpc: str
    account: str
    given_id: str | None
    said: dict[str, object]
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One state of one order."""

    at: datetime
    order: Order
    state: OrderState
    filled: int
    error: str | None


Happening = Transition | Execution


class Record:
    """Everything that the add-on has been asked and has seen, oldest first.

    Whoever listens is told each transition and each execution at once, while the order and the position
    stand as they stood at that moment.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.submissions: list[Submission] = []
        self.transitions: list[Transition] = []
        self.listener: Callable[[Happening], None] | None = None

    def received(self, submission: Submission) -> Submission:
        """Write a call down, before anything is made of it."""
        self.submissions.append(submission)
        return submission

    def became(self, order: Order, at: datetime) -> None:
        """Write down the state that an order is in now."""
        transition = Transition(at, order, order.state, order.filled, order.error)
        self.transitions.append(transition)
        self._tell(transition)

    def changed(self, order: Order, at: datetime) -> None:
        """Tell that an order has other terms or has filled more, in the same state; it is not written down."""
        self._tell(Transition(at, order, order.state, order.filled, order.error))

    def traded(self, execution: Execution) -> None:
        """Tell that an order has traded."""
        self._tell(execution)

    def of(self, any_id: str, order: Order | None) -> "list[Submission | Transition]":
        """List what is known of an order, by the id of either side; a refused submission is known as well."""
        entries: list[Submission | Transition] = [
            submission
            for submission in self.submissions
            if submission.given_id == any_id or (order is not None and submission.order is order)
        ]
        entries += [transition for transition in self.transitions if transition.order is order]
        return sorted(entries, key=lambda entry: entry.at)

    def _tell(self, happening: Happening) -> None:
        if self.listener is not None:
            self.listener(happening)
