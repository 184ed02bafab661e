"""Products of the simulated market, their contract months, and how an instrument may be written."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

MONTH_CODES = "FGHJKMNQUVXZ"
_QUARTERS = (3, 6, 9, 12)
_EVERY_MONTH = tuple(range(1, 13))
_GOLD_MONTHS = (2, 4, 6, 8, 10, 12)
_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATED = re.compile(r"([A-Z]{2,3}) ([0-9]{2})-([0-9]{2})")
_NAMED_MONTH = re.compile(rf"([A-Z]{{2,3}}) ?({'|'.join(_MONTH_NAMES)}) ?([0-9]{{2}})")
_MONTH_CODE = re.compile(rf"([A-Z]{{2,3}}?)([{MONTH_CODES}])([0-9]{{1,2}}|20[0-9]{{2}})")
_CONTINUOUS = re.compile(r"([A-Z]{2,3})1!")


@dataclass(frozen=True, slots=True)
class Margin:
    """Margin of one contract, in dollars."""

    initial: float
    maintenance: float
    intraday: float


@dataclass(frozen=True, slots=True)
class Product:
    """One futures product; `underlying` names the price path, which a micro shares with its full-size contract."""

    root: str
    description: str
    tick_size: float
    point_value: float
    exchange: str
    trading_hours: str
    months: tuple[int, ...]
    underlying: str
    base_price: float
    daily_volatility: float
    carry_ticks: int
    contracts_per_second: float
    margin: Margin
    commission: float
    fee: float
    roll_days: int = 8

    @property
    def tick_value(self) -> float:
        """Value of one tick of one contract, in dollars."""
        return round(self.tick_size * self.point_value, 10)

    def price(self, ticks: float) -> float:
        """Convert a count of ticks to a price, without binary noise."""
        return round(ticks * self.tick_size, 10)

    def ticks(self, price: float) -> int | None:
        """Convert a price to a count of ticks; None if it lies between two ticks."""
        nearest = round(price / self.tick_size)
        return nearest if abs(nearest * self.tick_size - price) < self.tick_size * 1e-6 else None


def _index(root: str, description: str, figures: tuple[float, float, float, float], margin: Margin) -> Product:
    """Build an equity index product; `figures` are point value, base price, contracts a second and commission."""
    point_value, base_price, pace, commission = figures
    underlying = root.removeprefix("M")
    return Product(
        root=root,
        description=description,
        tick_size=0.25,
        point_value=point_value,
        exchange="Globex",
        trading_hours="CME US Index Futures ETH",
        months=_QUARTERS,
        underlying=underlying,
        base_price=base_price,
        daily_volatility=0.009 if underlying == "ES" else 0.013,
        carry_ticks=72 if underlying == "ES" else 280,
        contracts_per_second=pace,
        margin=margin,
        commission=commission,
        fee=round(commission * 0.7, 2),
    )


PRODUCTS = {
    product.root: product
    for product in (
        _index("ES", "E-mini S&P 500 Futures", (50.0, 6650.0, 14.0, 1.29), Margin(23_100.0, 21_000.0, 500.0)),
        _index("MES", "Micro E-mini S&P 500 Futures", (5.0, 6650.0, 11.0, 0.35), Margin(2_310.0, 2_100.0, 50.0)),
        _index("NQ", "E-mini NASDAQ-100 Futures", (20.0, 24_400.0, 6.0, 1.29), Margin(33_000.0, 30_000.0, 1_000.0)),
        _index("MNQ", "Micro E-mini NASDAQ-100 Futures", (2.0, 24_400.0, 15.0, 0.35), Margin(3_300.0, 3_000.0, 100.0)),
        Product(
            root="CL",
            description="Light Sweet Crude Oil Futures",
            tick_size=0.01,
            point_value=1000.0,
            exchange="Nymex",
            trading_hours="Nymex Metals - Energy ETH",
            months=_EVERY_MONTH,
            underlying="CL",
            base_price=68.0,
            daily_volatility=0.02,
            carry_ticks=-12,
            contracts_per_second=4.0,
            margin=Margin(6_600.0, 6_000.0, 1_000.0),
            commission=1.29,
            fee=1.52,
            roll_days=6,
        ),
        Product(
            root="GC",
            description="Gold Futures",
            tick_size=0.1,
            point_value=100.0,
            exchange="Comex",
            trading_hours="Nymex Metals - Energy ETH",
            months=_GOLD_MONTHS,
            underlying="GC",
            base_price=3400.0,
            daily_volatility=0.011,
            carry_ticks=110,
            contracts_per_second=3.0,
            margin=Margin(16_500.0, 15_000.0, 1_000.0),
            commission=1.29,
            fee=1.57,
            roll_days=30,
        ),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class SimContract:
    """One delivery month of one product."""

    root: str
    year: int
    month: int

    @property
    def product(self) -> Product:
        """Product that this is a month of."""
        return PRODUCTS[self.root]

    @property
    def name(self) -> str:
        """NinjaTrader's full name, `ES 12-26`."""
        return f"{self.root} {self.month:02d}-{self.year % 100:02d}"

    @property
    def last_day(self) -> date:
        """Last day on which this month trades."""
        return _last_day(self.root, self.year, self.month)

    @property
    def rolls_on(self) -> date:
        """Day on which the next month becomes the front month."""
        return self.last_day - timedelta(days=self.product.roll_days)

    @property
    def carry(self) -> int:
        """Ticks between this month and the price path of its underlying; constant over time."""
        return self.product.carry_ticks * (self.year * 12 + self.month - 2026 * 12) // 3


@lru_cache(maxsize=512)
def _last_day(root: str, year: int, month: int) -> date:
    """Return the last trading day.

    Index products: the third Friday. CL: three working days before the 25th of the month before. GC: the third last
    working day of the month.
    """
    if root == "CL":
        before = date(year, month, 1) - timedelta(days=1)
        return _working_days_before(before.replace(day=25), 3)
    if root == "GC":
        return _working_days_before(date(year, month, calendar.monthrange(year, month)[1]) + timedelta(days=1), 3)
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def _working_days_before(day: date, count: int) -> date:
    while count:
        day -= timedelta(days=1)
        count -= day.weekday() < 5
    return day


def is_listed(contract: SimContract, today: date) -> bool:
    """Check whether the add-on knows the month: from 15 months before its last day until a year after it."""
    if contract.month not in contract.product.months:
        return False
    return -366 <= (contract.last_day - today).days <= 457


def contracts_listed(root: str, today: date) -> list[SimContract]:
    """List the months that trade today, nearest first."""
    months = (
        SimContract(root, year, month) for year in range(today.year, today.year + 3) for month in PRODUCTS[root].months
    )
    return [month for month in months if month.last_day >= today and is_listed(month, today)]


def front_month(root: str, today: date) -> SimContract:
    """Return the month that a bare root stands for: the first one that has not rolled.

    A month rolls a fixed number of days before its last one: 8 for the index
    products (the Thursday of the week before), 6 for CL, 30 for GC.
    """
    return next(month for month in contracts_listed(root, today) if today < month.rolls_on)


def resolve(text: str, today: date) -> SimContract | None:
    """Find the contract that a text names; None if there is none.

    Tried in this order: as written, with case and spaces corrected, as the front month of its root.
    """
    return _dated(text, today) or _normalised(text, today) or _front(text, today)


def _dated(text: str, today: date) -> SimContract | None:
    match = _DATED.fullmatch(text)
    if match is None:
        return None
    return _listed(match[1], 2000 + int(match[3]), int(match[2]), today)


def _normalised(text: str, today: date) -> SimContract | None:
    """Parse the dated form in any case and spacing, the name of the month, and the exchange's month code."""
    tidy = " ".join(text.upper().split())
    found = _dated(tidy, today)
    if found is not None:
        return found
    if match := _NAMED_MONTH.fullmatch(tidy):
        return _listed(match[1], 2000 + int(match[3]), _MONTH_NAMES.index(match[2]) + 1, today)
    if match := _MONTH_CODE.fullmatch(tidy):
        return _coded(match[1], match[2], match[3], today)
    return None


def _coded(root: str, code: str, year: str, today: date) -> SimContract | None:
    """Parse `ESZ26`; a single digit means the year nearest to today."""
    month = MONTH_CODES.index(code) + 1
    if len(year) > 1:
        return _listed(root, int(year) % 100 + 2000, month, today)
    decades = (today.year - today.year % 10 + int(year) + shift for shift in (-10, 0, 10))
    return _listed(root, min(decades, key=lambda near: abs(near - today.year)), month, today)


def _front(text: str, today: date) -> SimContract | None:
    tidy = text.strip().upper()
    match = _CONTINUOUS.fullmatch(tidy)
    root = match[1] if match else tidy
    return front_month(root, today) if root in PRODUCTS else None


def _listed(root: str, year: int, month: int, today: date) -> SimContract | None:
    if root not in PRODUCTS or not 1 <= month <= 12:
        return None
    contract = SimContract(root, year, month)
    return contract if is_listed(contract, today) else None
