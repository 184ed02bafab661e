"""Writing down what reached the add-on, before anything is made of it."""

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.record import Submission
from ct_mcp.simulator.rest.args import Args


def received(addon: AddOn, rpc: str, args: Args, given_id: str | None = None) -> Submission:
    """Record a call; `given_id` is the id of the order that it speaks of."""
    said = args.model_dump(mode="json", by_alias=True, exclude_none=True)
    return addon.exchange.record.received(Submission(addon.now, rpc, str(said.get("account", "")), given_id, said))
