"""Sets a watch: nothing is sent, and the store keeps it, with the entry that ends its intent, in one step.

It stands apart from the handlers that send.
"""

from dataclasses import replace

from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.outcome import Outcome, Status
from ct_mcp.desk.submission import Submission
from ct_mcp.desk.watch_tickets import watch_of
from ct_mcp.domain.watch import SetWatch
from ct_mcp.errors import NeedsRoom


async def set_watch(execution: CommandExecution, wanted: SetWatch) -> Outcome:
    """Keep it from now on; where there is no room for it, none is set."""
    outcome = replace(execution.after(Submission()), next_step="end_watch ends it; get_watches tells how it stands")
    order = execution.review.context.order(wanted.order_id or "")
    watch = watch_of(wanted, execution.step.ticket, order, execution.journal.clock())
    try:
        await execution.journal.watch_set(execution.step, watch, execution.review.policy.watches.most)
    except NeedsRoom as full:
        refused = replace(outcome, status=Status.DENIED, reasons=(full.what,), next_step="end one with end_watch first")
        return await execution.record(refused, is_known=True)
    return replace(outcome, status=Status.SET, reasons=(f"watch {watch.watch_id}: {watch.words}",))
