"""Ids are never made twice and are the same in every run."""

from ct_mcp.simulator.ids import Mint
from ct_mcp.simulator.ledger import LIVE, SIM


def test_ids_are_never_made_twice() -> None:
    mint = Mint(1)
    made = [mint.guid("order") for _ in range(100)] + [mint.order(spec) for spec in (SIM, LIVE) * 100]
    assert len(set(made)) == 300


def test_the_same_seed_makes_the_same_ids() -> None:
    assert Mint(1).guid("order") == Mint(1).guid("order") != Mint(2).guid("order")


def test_real_orders_have_numbers_and_simulated_ones_long_ids() -> None:
    mint = Mint(1)
    assert mint.order(LIVE).isdecimal()
    assert len(bytes.fromhex(mint.order(SIM))) == 16
