"""Prices of a small shop."""


def net_price(price: float, rate: float = 0.2) -> float:
    """Price with tax, rounded to cents."""
    if price < 0:
        raise ValueError("negative price")
    return round(price * (1 + rate), 2)


def grade(score: int) -> str:
    """Grade a customer's score."""
    if score >= 90:
        return "gold"
    if score >= 50:
        return "silver"
    return "bronze"


def split_bill(items: list[int], people: int) -> list[int]:
    """Share the total evenly; the first ones pay what is left over."""
    if people <= 0:
        raise ValueError("nobody pays")
    share, rest = divmod(sum(items), people)
    return [share + 1 if i < rest else share for i in range(people)]


def unique(items: list[str]) -> list[str]:
    """Each item once, in order."""
    seen = set()
    out = []
    for item in items:
        if item not in seen:
            seen.add(item)
            out.append(item)
    return out
