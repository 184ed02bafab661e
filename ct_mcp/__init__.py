"""Trade NinjaTrader 8 through an AI assistant, behind limits and approvals it cannot pass by itself."""

__version__ = "0.1.0"
