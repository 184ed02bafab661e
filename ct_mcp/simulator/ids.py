"""Ids as NinjaTrader and brokers make them, the same in every run of a seed."""

from hashlib import blake2b

from ct_mcp.simulator.ledger import AccountSpec

_FIRST_BROKER_NUMBER = 676_173_541_000
_FIRST_STRATEGY_NUMBER = 334_081_723


class Mint:
    """Makes ids that are never made twice."""

    def __init__(self, seed: int) -> None:
        """Begin at the first."""
        self._seed = seed
        self._made = 0
        self._strategies = 0

    def guid(self, kind: str) -> str:
        """Make an id of 32 hexadecimal digits."""
        self._made += 1
        return blake2b(f"{self._seed}/{kind}/{self._made}".encode(), digest_size=16).hexdigest()

    def order(self, spec: AccountSpec) -> str:
        """Make the id of an order: NinjaTrader's on a simulated account, the broker's number on a real one."""
        if spec.is_simulated:
            return self.guid("order")
        self._made += 1
        return str(_FIRST_BROKER_NUMBER + self._made)

    def strategy(self) -> int:
        """Make the number of a strategy, or of one use of an ATM template."""
        self._strategies += 1
        return _FIRST_STRATEGY_NUMBER + self._strategies - 1
