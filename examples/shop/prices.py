"""Prices of a small shop."""


def net_price(price: float, rate: float = 0.2) -> float:
    """Price with tax, rounded to cents."""
    if price < 0:
        raise ValueError("negative price")
    return round(price * (1 + rate), 2)


def share(amount: int, people: int) -> float:
    """Share an amount."""
    if people == 0:
        raise ValueError("nobody")
    return amount / people


def above(prices: list[int], limit: int) -> list[int]:
    """The prices above a limit."""
    return [p for p in prices if p > limit]


def cheapest(prices: list[int]) -> int:
    """The lowest price."""
    if not prices:
        raise ValueError("no prices")
    return min(prices)
