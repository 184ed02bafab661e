"""Sends what leaves: cancels, closes and flattens. They may use the reserve of the request budget."""

from collections.abc import Sequence
from dataclasses import replace

from ct_mcp.crosstrade.schemas.orders import Acknowledged
from ct_mcp.desk import readback
from ct_mcp.desk.approval_request import goes_singly
from ct_mcp.desk.execution import CommandExecution
from ct_mcp.desk.outcome import Outcome
from ct_mcp.desk.polling import AccountState
from ct_mcp.desk.ports import BookReads
from ct_mcp.desk.recognition import Asked
from ct_mcp.desk.refusals import RefusedExits, refused_among, with_refused_exits
from ct_mcp.desk.remedies import CANCEL_AGAIN
from ct_mcp.desk.submission import Submission
from ct_mcp.domain.commands import CancelOrder, CancelOrders, ClosePosition, Flatten
from ct_mcp.domain.instrument import Instrument
from ct_mcp.errors import CtMcpError, OrderRejected
from ct_mcp.guard.effect import closes_a_part, contracts_closed, is_partial, may_open
from ct_mcp.store.journal import EntryKind


async def cancel(execution: CommandExecution, wanted: CancelOrder) -> Outcome:
    """Cancel one order. "Not found or already terminal" is no failure: it may have filled, so look."""
    answer = await execution.submit("cancel", execution.leaving.cancel_order(wanted.account, wanted.order_id))
    outcome = execution.after(answer)
    is_it = Asked(wanted.order_id, execution.review.context.order(wanted.order_id), answer.taken.order_ids)
    seen = await execution.urgent_poller.order(wanted.account, wanted.order_id, lambda order: order.is_closed, is_it)
    if seen is not None and seen.is_closed:
        return await execution.report_order(replace(outcome, reasons=()), seen)
    if answer.refusal:
        return await execution.with_what_stands(outcome, execution.review.effect.instrument)
    return await execution.record(_may_go_again(readback.unseen(outcome, "the cancel is not seen yet")))


def _may_go_again(unseen: Outcome) -> Outcome:
    return replace(unseen, next_step=CANCEL_AGAIN)


async def cancel_all(execution: CommandExecution, wanted: CancelOrders) -> Outcome:
    """Cancel the orders of an account, or of one instrument in it: all that work then, or those that were shown.

    Whoever asks for all means whatever works when it arrives. A yes is one to the orders that the question named: what
    somebody else places meanwhile, perhaps the stop of a new position, is not among them, and stays.
    """
    named = _named_in_the_question(execution)
    if named:
        answer = await _cancel_each(execution, named)
    else:
        answer = await execution.submit("cancel", execution.leaving.cancel_orders(wanted.account, wanted.instrument))
    ids = frozenset(named)

    def is_done(book: AccountState) -> bool:
        return not readback.to_be_cancelled(book, ids)

    before, poller = execution.baseline(answer), execution.urgent_poller
    before = replace(before, order_ids=tuple(dict.fromkeys((*before.order_ids, *named))))
    book = await poller.book(wanted.account, wanted.instrument, is_done, before)
    if book is not None and not (book.positions or book.lists_orders):  # such lists may hide all that stands
        book = book if await poller.is_believable(wanted.account, wanted.instrument, book) else None
    if book is None:
        unread = readback.unseen(execution.after(answer), "the account could not be read")
        return await execution.record(_may_go_again(unread))

    def judge(outcome: Outcome, read: AccountState) -> Outcome:
        return readback.from_cancels(outcome, read, execution.review.context, wanted.instrument, ids)

    return await execution.report_account(judge, answer, book)


def _named_in_the_question(execution: CommandExecution) -> tuple[str, ...]:
    """Give the orders that the person was shown one by one, stops last; none where nobody was asked about each.

    What a list shows to be gone is left out. A list that was not read, or shows nothing, makes it no other cancel.
    """
    step, standing = execution.step, {order.order_id for order in execution.review.effect.cancels or ()}
    request = step.ticket.request
    shown = request.items[step.number] if request and step.ticket.is_asked else None
    if shown is None or not goes_singly(shown, step.command):
        return ()
    named = tuple(order.order_id for order in shown.cancels)
    return tuple(order_id for order_id in named if order_id in standing) or named


async def _cancel_each(execution: CommandExecution, named: Sequence[str]) -> Submission:
    """Cancel some orders in turn, one request each."""
    account, answers, trouble = execution.step.command.account, list[Submission](), list[str]()
    for number, order_id in enumerate(named):
        try:
            if answers:
                await execution.another_intent()
            answer = await execution.submit("cancel", execution.leaving.cancel_order(account, order_id))
        except CtMcpError as error:
            if not answers:
                raise
            trouble.append(f"NOT SENT for {', '.join(named[number:])}: {error.what}")
            break
        answers.append(answer)
        if isinstance(answer.refusal, OrderRejected):
            trouble.append(f"the cancel of {order_id} was refused: {answer.refusal.what}")
    return _as_one(answers, trouble)


def _as_one(answers: Sequence[Submission], trouble: Sequence[str]) -> Submission:
    """Take several answers as one: unknown where any is. One that is gone by then is looked up, as all of them are."""
    unknown = next((answer.unknown for answer in answers if answer.unknown), None)
    refusals = [answer.refusal for answer in answers if isinstance(answer.refusal, OrderRejected)]
    trouble = (*trouble, *(line for answer in answers for line in answer.trouble))
    if unknown is not None:
        return Submission(unknown=unknown, trouble=trouble)
    if len(refusals) == len(answers):
        return Submission(refusal=refusals[0], trouble=trouble)
    return Submission(Acknowledged(tuple(it for each in answers for it in each.taken.order_ids)), trouble=trouble)


async def close(execution: CommandExecution, wanted: ClosePosition) -> Outcome:
    """Close a position, or a part of it."""
    net = execution.review.context.net_position(wanted.instrument)
    turns = may_open(execution.review.effect)  # a part, beside orders that leave as much again
    client = execution.urgent.checked_by(execution.last_look) if turns else execution.leaving
    answer = await execution.submit("close", client.close_position(_sized(wanted, net)))
    goal = readback.largest_left(wanted, net)

    def is_done(book: AccountState) -> bool:
        return readback.has_left(book.net, goal) and not readback.on_its_way(book)

    book = await execution.urgent_poller.book(wanted.account, wanted.instrument, is_done, execution.baseline(answer))
    is_left = book is None or is_done(book)
    refused = RefusedExits() if is_left else await refused_exits(execution, answer, book, execution.urgent)

    def judge(outcome: Outcome, read: AccountState) -> Outcome:
        part = closes_a_part(wanted, net)
        by_others = readback.filled_by_standing(read, execution.review.context) if part else 0
        return with_refused_exits(readback.from_close(outcome, read, goal, by_others), refused)

    return await execution.report_account(judge, answer, book)


def _sized(wanted: ClosePosition, net: int | None) -> ClosePosition:
    """Name the contracts of a percentage: by the time it arrives it would be one of another position.

    What is all of it names none: they close a number at the market, and leave its stops and targets working.
    """
    if not is_partial(wanted) or not net:
        return wanted
    if not closes_a_part(wanted, net):
        return replace(wanted, percent=None, quantity=None)
    return replace(wanted, percent=None, quantity=contracts_closed(wanted, abs(net)))


async def flatten(execution: CommandExecution, wanted: Flatten) -> Outcome:
    """Flatten an account, or one instrument in it, and cancel the orders that it leaves."""
    answer = await submit_flatten(execution, wanted.account, wanted.instrument)
    book = await execution.urgent_poller.book(
        wanted.account, wanted.instrument, lambda book: not book.positions, execution.baseline(answer)
    )
    # Orders are cancelled only once no position is left: a stop that still protects one must stand.
    if book is not None and book.orders and not book.positions:
        answer = await cancel_leftovers(execution, wanted.account, wanted.instrument, answer)
        book = await execution.urgent_poller.book(
            wanted.account, wanted.instrument, lambda book: book.is_flat, execution.baseline(answer)
        )
    refused = await refused_exits(execution, answer, book, execution.urgent)

    def judge(outcome: Outcome, read: AccountState) -> Outcome:
        return with_refused_exits(readback.from_flatten(outcome, read), refused)

    return await execution.report_account(judge, answer, book)


async def refused_exits(
    execution: CommandExecution, answer: Submission, book: AccountState | None, reads: BookReads
) -> RefusedExits:
    """Give the orders that read like those of an exit they took, and as refused, where what it was to leave stands.

    An exit carries no id of ours: where somebody else's may have been refused at the same time, it still counts as on
    its way, but whoever is told that the position stands hears why that may be. Where it is known to be over, its
    orders are written down as its own, so that no later exit takes them for its own.
    """
    held = [] if book is None or book.is_stale else [each for each in book.positions if each.quantity]
    if answer.acknowledged is None or book is None or not held or readback.on_its_way(book):
        return RefusedExits()
    try:
        rows = await reads.orders(execution.step.command.account, active_only=False)
    except CtMcpError:
        return RefusedExits()
    part = _contracts_of_part(execution)
    found = list[RefusedExits]()
    for each in held:
        is_ours = await execution.ours_of_turn(each.instrument, each.net)
        found.append(refused_among(rows, each.net, part, is_ours, answer.taken.order_ids))
    orders = tuple(order for each in found for order in each.orders)
    is_known = all(each.is_known for each in found)
    if is_known:
        detail = {"refused": [each.order_id for each in orders], "filled": sum(each.filled for each in orders)}
        await execution.journal.after_the_wire(EntryKind.SETTLED, execution.step, detail)
    words = [await execution.urgent_poller.with_their_words(order) for order in orders]
    stands = {each.instrument: each.net for each in held}
    has_left = any(stands.get(instrument, 0) != net for instrument, net in execution.baseline(answer).nets)
    return RefusedExits(tuple(words), is_known, has_left or any(order.filled for order in orders))


def _contracts_of_part(execution: CommandExecution) -> int | None:
    """Give how many contracts an exit of a part was to close; None of one that leaves all."""
    effect = execution.review.effect
    before, after = effect.position_before, effect.position_after
    return None if not effect.adds_up or before is None or after is None else abs(before - after)


async def submit_flatten(execution: CommandExecution, account: str, instrument: Instrument | None) -> Submission:
    """Send one flatten, and read nothing."""
    return await execution.submit("flatten", execution.leaving.flatten(account, instrument))


async def cancel_leftovers(
    execution: CommandExecution, account: str, instrument: Instrument | None, answer: Submission
) -> Submission:
    """Cancel the orders that a flatten leaves: a resting entry without a position would fill later."""
    try:
        await execution.another_intent()
        second = await execution.submit("cancel", execution.leaving.cancel_orders(account, instrument))
        trouble = (*second.reasons, *second.warnings)
    except CtMcpError as error:
        # The flatten before it was sent, so this error must not speak for the whole.
        trouble = (f"the orders left standing were not cancelled: {error.what}",)
    return replace(answer, trouble=(*answer.trouble, *trouble))
