"""What NinjaTrader's Trade Performance window has exported becomes executions, row by row or the reason why not."""

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ct_mcp.domain.grid_cells import DateOrder
from ct_mcp.domain.grid_import import GridImport, ImportOptions, read_grid
from ct_mcp.domain.order import OrderAction
from ct_mcp.domain.round_trips import round_trips
from ct_mcp.errors import BadRequest

TODAY = date(2026, 11, 30)
EXECUTIONS = (
    "Instrument,Action,Quantity,Price,Time,ID,E/X,Position,Order ID,Name,Commission,Rate,Account,Connection,\n"
    "ES 12-26,Buy,2,6400.25,11/23/2026 9:31:00 AM,e1,Entry,2 L,o1,Entry,$4.30,1,Sim101,Live,\n"
    "ES 12-26,Sell,1,6405.00,11/23/2026 9:35:10 AM,e2,Exit,1 L,o2,Target1,$2.15,1,Sim101,Live,\n"
    "ES 12-26,Sell,1,6398.00,11/23/2026 9:40:10 AM,e3,Exit,-,o3,Stop1,$2.15,1,Sim101,Live,\n"
)
GERMAN = (
    "Instrument;Action;Quantity;Price;Time;ID;E/X;Position;Order ID;Name;Commission;Rate;Account display name;"
    "Connection;\n"
    "ES 12-26;Buy;2;6400,25;23.11.2026 16:31:00;e1;Entry;2 L;o1;Entry;4,30 $;1;Sim101;Live;\n"
    "ES 12-26;Sell;2;6.405,00;23.11.2026 16:35:10;e2;Exit;-;o2;Target1;4,30 $;1;Sim101;Live;\n"
)
TRADES = (
    "Trade number,Instrument,Account,Strategy,Market pos.,Qty,Entry price,Exit price,Entry time,Exit time,Entry name,"
    "Exit name,Profit,Cum. net profit,Commission,Clearing Fee,Exchange Fee,IP Fee,NFA Fee,MAE,MFE,ETD,Bars,\n"
    "1,NQ 12-26,Sim101,,Long,1,21450.25,21470.50,11/23/2026 9:31:22 AM,11/23/2026 9:52:10 AM,Entry,Profit target,"
    "$405.00,$400.70,$3.00,$0.30,$1.00,$0.00,$0.00,$75.00,$450.00,$45.00,21,\n"
    "2,NQ 12-26,Sim101,,Short,2,21480.00,21490.25,11/23/2026 10:15:00 AM,11/23/2026 10:21:40 AM,Entry,Stop loss,"
    "($410.00),($18.60),$6.00,$0.60,$2.00,$0.00,$0.00,$450.00,$120.00,$530.00,7,\n"
)


def read(text: str, **changes: Any) -> GridImport:
    """Read a file that was made in Chicago."""
    usual: dict[str, Any] = {"zone": ZoneInfo("America/Chicago"), "today": TODAY}
    return read_grid(text, ImportOptions(**(usual | changes)))


def test_the_executions_grid_is_read() -> None:
    found = read(EXECUTIONS)
    assert (found.grid, found.rows, found.left_out) == ("Executions", 3, ())
    first = found.executions[0]
    assert (first.account, first.execution_id, first.order_id, first.name) == ("Sim101", "e1", "o1", "Entry")
    assert (str(first.instrument), first.action, first.quantity) == ("ES 12-26", OrderAction.BUY, 2)
    assert (first.price, first.commission) == (Decimal("6400.25"), Decimal("4.30"))
    assert str(first.at) == "2026-11-23 15:31:00+00:00"
    assert [each.position_after for each in found.executions] == [2, 1, 0]


def test_one_of_a_region_with_decimal_commas_says_the_same() -> None:
    found = read(GERMAN, zone=ZoneInfo("Europe/Berlin"))
    assert [each.price for each in found.executions] == [Decimal("6400.25"), Decimal(6405)]
    assert found.executions[0].commission == Decimal("4.30")
    assert str(found.executions[0].at) == "2026-11-23 15:31:00+00:00"
    assert (found.order, found.mark) == (DateOrder.DAY_FIRST, ",")


def test_the_newest_may_stand_on_top() -> None:
    head, *rows = EXECUTIONS.splitlines()
    assert read("\n".join((head, *reversed(rows)))).executions == read(EXECUTIONS).executions


def test_the_trades_grid_makes_an_entry_and_an_exit_of_each_row() -> None:
    found = read(TRADES)
    assert (found.grid, len(found.executions)) == ("Trades", 4)
    trips = round_trips(found.executions).trips
    assert [(str(trip.side), trip.quantity, trip.points) for trip in trips] == [
        ("LONG", 1, Decimal("20.25")),
        ("SHORT", 2, Decimal("-20.50")),
    ]
    assert [trip.commission for trip in trips] == [Decimal("4.30"), Decimal("8.60")]


def test_the_same_row_bears_the_same_ids_whatever_file_it_stands_in() -> None:
    head, _, second = TRADES.splitlines()
    alone = read(f"{head}\n{second}")
    assert {each.execution_id for each in alone.executions} < {each.execution_id for each in read(TRADES).executions}


def test_two_equal_rows_of_trades_are_two_trades_and_of_executions_one() -> None:
    head, first, _ = TRADES.splitlines()
    twice = read("\n".join((head, first, first)))
    assert len({each.execution_id for each in twice.executions}) == 4
    assert len(read(EXECUTIONS + EXECUTIONS.splitlines()[1]).executions) == 3


def test_rows_that_one_entry_made_are_one_round_trip() -> None:
    head, first, _ = TRADES.splitlines()
    later = first.replace("9:52:10", "9:58:00").replace("21470.50", "21440.25").replace("1,NQ", "2,NQ")
    (trip,) = round_trips(read("\n".join((head, first, later))).executions).trips
    assert (trip.quantity, len(trip.exits), trip.points) == (2, 2, Decimal("10.25"))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("Buy,2", "Teleport,2", "its action is 'Teleport'"),
        ("Buy,2", "Buy,0", "its quantity is '0'"),
        ("Buy,2", "Buy,1.5", "its quantity is '1.5'"),
        ("6400.25", "n/a", "its price is 'n/a'"),
        ("11/23/2026 9:31:00 AM", "soon", "its time is 'soon'"),
        ("11/23/2026 9:31:00 AM", "11/23/2027 9:31:00 AM", "its time would be 2027-11-23"),
        ("ES 12-26,Buy", "ES,Buy", "does not name its contract month"),
        ("ES 12-26,Buy", "MSFT US,Buy", "none of the known spellings"),
        ("1,Sim101,Live,\nES 12-26,Sell,1,6405", "1,,Live,\nES 12-26,Sell,1,6405", "it names no account"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_with_its_line_and_why(old: str, new: str, why: str) -> None:
    found = read(EXECUTIONS.replace(old, new, 1))
    assert len(found.executions) == 2
    (left_out,) = found.left_out
    assert (left_out.line, why in left_out.why) == (2, True), left_out


def test_of_one_account_alone_the_rows_of_others_are_left_out() -> None:
    found = read(EXECUTIONS.replace("1,Sim101", "1,Sim102", 1), account="sim101")
    assert len(found.executions) == 2
    assert "of account 'Sim102'" in found.left_out[0].why


def test_bonds_in_32nds_are_read() -> None:
    (found,) = read(
        "Instrument,Action,Quantity,Price,Time,ID,Account\nZB 12-26,Buy,1,115'08,11/23/2026 9:31 AM,e1,Sim101\n"
    ).executions
    assert found.price == Decimal("115.25")


@pytest.mark.parametrize("text", ["Time,Category,Message\n1,2,3\n", "Instrument,Market pos.\nES 12-26,Long\n"])
def test_another_grid_is_refused_by_what_it_lacks(text: str) -> None:
    with pytest.raises(BadRequest, match="has no column"):
        read(text)


def test_nothing_of_a_file_is_read_whose_dates_may_be_read_in_two_ways() -> None:
    with pytest.raises(BadRequest, match="may begin with the day or with the month"):
        read(EXECUTIONS.replace("11/23/2026", "11/12/2026"))
    told = read(EXECUTIONS.replace("11/23/2026", "11/12/2026"), order=DateOrder.MONTH_FIRST)
    assert str(told.executions[0].at.date()) == "2026-11-12"
