"""Hand-written families of everyday functions. Names, constants, operators and annotations are varied by ``programs``.

A parameter's annotation is a kind of ``values``; ``csv``, ``path``, ``date`` and the like mean a str with that format.
"""

from __future__ import annotations

_SOURCES = '''
def f(value: int, low: int, high: int) -> int:
    """Limit a value to a range."""
    return max(low, min(high, value))
---
def f(a: int, b: int) -> float:
    """Divide a by b."""
    if b == 0:
        raise ValueError("cannot divide by zero")
    return a / b
---
def f(n: int) -> bool:
    """Whether n is prime."""
    if n < 2:
        return False
    for i in range(2, int(n ** 0.5) + 1):
        if n % i == 0:
            return False
    return True
---
def f(n: int) -> int:
    """The n-th Fibonacci number."""
    if n < 0:
        raise ValueError("n must not be negative")
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a
---
def f(n: int) -> int:
    """Product of the numbers up to n."""
    if n < 0:
        raise ValueError("negative")
    return 1 if n <= 1 else n * f(n - 1)
---
def f(a: int, b: int) -> int:
    """Greatest common divisor."""
    while b:
        a, b = b, a % b
    return abs(a)
---
def f(n: int) -> int:
    """Sum of the decimal digits."""
    return sum(int(d) for d in str(abs(n)))
---
def f(text: str) -> bool:
    """Whether the text reads the same backwards."""
    cleaned = [c.lower() for c in text if c.isalnum()]
    return cleaned == cleaned[::-1]
---
def f(text: str) -> str:
    """Make a slug."""
    return "-".join(text.lower().split())
---
def f(text: str) -> int:
    """Count the vowels."""
    return sum(1 for c in text.lower() if c in "aeiou")
---
def f(text: str) -> dict:
    """How often each character occurs."""
    counts = {}
    for c in text:
        counts[c] = counts.get(c, 0) + 1
    return counts
---
def f(text: str, width: int) -> str:
    """Cut the text to a width, marking the cut."""
    if len(text) <= width:
        return text
    return text[:width] + "..."
---
def f(text: str, times: int) -> str:
    """Repeat the text."""
    return text * times
---
def f(words: list[str], sep: str = ", ") -> str:
    """Join words that are not empty."""
    return sep.join(w for w in words if w)
---
def f(name: str, greeting: str = "Hello") -> str:
    """Greet somebody."""
    if not name:
        raise ValueError("name is empty")
    return f"{greeting}, {name}!"
---
def f(text: str) -> str:
    """Swap the first and the last character."""
    if len(text) < 2:
        return text
    return text[-1] + text[1:-1] + text[0]
---
def f(text: str) -> list:
    """Run-length encoding."""
    out = []
    for c in text:
        if out and out[-1][0] == c:
            out[-1] = (c, out[-1][1] + 1)
        else:
            out.append((c, 1))
    return out
---
def f(text: str, shift: int) -> str:
    """Caesar cipher."""
    out = ""
    for c in text:
        if c.islower():
            out += chr((ord(c) - 97 + shift) % 26 + 97)
        else:
            out += c
    return out
---
def f(name: str) -> str:
    """snake_case to CamelCase."""
    return "".join(part.capitalize() for part in name.split("_"))
---
def f(name: str) -> str:
    """CamelCase to snake_case."""
    out = []
    for i, c in enumerate(name):
        if c.isupper() and i:
            out.append("_")
        out.append(c.lower())
    return "".join(out)
---
def f(items: list[int]) -> list:
    """Each item once, in order."""
    seen = set()
    out = []
    for item in items:
        if item not in seen:
            seen.add(item)
            out.append(item)
    return out
---
def f(items: list[int], size: int) -> list:
    """Split into chunks."""
    if size <= 0:
        raise ValueError("size must be positive")
    return [items[i:i + size] for i in range(0, len(items), size)]
---
def f(items: list[int]) -> float:
    """Arithmetic mean."""
    if not items:
        raise ValueError("empty")
    return sum(items) / len(items)
---
def f(items: list[int]) -> float:
    """Median."""
    if not items:
        return 0.0
    ordered = sorted(items)
    mid = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[mid])
    return (ordered[mid - 1] + ordered[mid]) / 2
---
def f(items: list[int], target: int) -> int:
    """Index of target by bisection, or -1."""
    low, high = 0, len(items) - 1
    while low <= high:
        mid = (low + high) // 2
        if items[mid] == target:
            return mid
        if items[mid] < target:
            low = mid + 1
        else:
            high = mid - 1
    return -1
---
def f(items: list[int], k: int) -> list:
    """Rotate to the left."""
    if not items:
        return []
    k %= len(items)
    return items[k:] + items[:k]
---
def f(items: list[int]) -> list:
    """Running totals."""
    out, total = [], 0
    for x in items:
        total += x
        out.append(total)
    return out
---
def f(items: list[int]) -> tuple:
    """Smallest and largest."""
    if not items:
        return (None, None)
    return (min(items), max(items))
---
def f(items: list[int]) -> bool:
    """Whether the items ascend."""
    return all(a <= b for a, b in zip(items, items[1:]))
---
def f(items: list[int], limit: int) -> list:
    """The items above a limit, doubled."""
    return [x * 2 for x in items if x > limit]
---
def f(items: list[int]) -> list:
    """Pairs of neighbours."""
    return list(zip(items, items[1:]))
---
def f(a: list[int], b: list[int]) -> list:
    """Merge two sorted lists."""
    out, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] <= b[j]:
            out.append(a[i])
            i += 1
        else:
            out.append(b[j])
            j += 1
    return out + a[i:] + b[j:]
---
def f(a: list[int], b: list[int]) -> int:
    """Dot product."""
    if len(a) != len(b):
        raise ValueError("lengths differ")
    return sum(x * y for x, y in zip(a, b))
---
def f(a: list[int], b: list[int]) -> list:
    """Common items, sorted."""
    return sorted(set(a) & set(b))
---
def f(items: list[int], pred_min: int = 0) -> tuple:
    """Split by a threshold."""
    yes = [x for x in items if x >= pred_min]
    no = [x for x in items if x < pred_min]
    return yes, no
---
def f(matrix: list[list[int]]) -> list:
    """Transpose."""
    return [list(row) for row in zip(*matrix)]
---
def f(matrix: list[list[int]]) -> list:
    """Flatten one level."""
    return [x for row in matrix for x in row]
---
def f(matrix: list[list[int]]) -> list:
    """Sums of the rows."""
    return [sum(row) for row in matrix]
---
def f(words: list[str]) -> dict:
    """Group words by length."""
    groups = {}
    for w in words:
        groups.setdefault(len(w), []).append(w)
    return groups
---
def f(words: list[str]) -> str:
    """The longest word."""
    if not words:
        return ""
    return max(words, key=len)
---
def f(words: list[str], prefix: str) -> list:
    """Words with a prefix."""
    return [w for w in words if w.startswith(prefix)]
---
def f(words: list[str]) -> list:
    """Sort without regard to case."""
    return sorted(words, key=str.lower)
---
def f(words: list[str]) -> dict:
    """Position of each word."""
    return {w: i for i, w in enumerate(words)}
---
def f(mapping: dict[str, int]) -> dict:
    """Swap keys and values."""
    return {v: k for k, v in mapping.items()}
---
def f(mapping: dict[str, int], key: str, default: int = 0) -> int:
    """Look up a key."""
    return mapping.get(key, default)
---
def f(mapping: dict[str, int], key: str) -> int:
    """Look up a key that must be there."""
    if key not in mapping:
        raise KeyError(key)
    return mapping[key]
---
def f(mapping: dict[str, int]) -> int:
    """Total of the values."""
    return sum(mapping.values())
---
def f(mapping: dict[str, int], low: int) -> dict:
    """Keep the values that reach a bound."""
    return {k: v for k, v in mapping.items() if v >= low}
---
def f(a: dict[str, int], b: dict[str, int]) -> dict:
    """Add two tables."""
    out = dict(a)
    for k, v in b.items():
        out[k] = out.get(k, 0) + v
    return out
---
def f(mapping: dict[str, int]) -> str:
    """Key with the largest value."""
    if not mapping:
        return None
    return max(mapping, key=mapping.get)
---
def f(headers: dict[str, str]) -> str:
    """Write a table as lines."""
    return "\\n".join(f"{k}: {v}" for k, v in sorted(headers.items()))
---
def f(text: csv) -> list:
    """Split at commas, dropping blanks."""
    return [part.strip() for part in text.split(",") if part.strip()]
---
def f(text: csv) -> list:
    """Parse integers separated by commas."""
    return [int(part) for part in text.split(",")]
---
def f(text: pairs) -> dict:
    """Parse key=value pairs."""
    out = {}
    for part in text.split(";"):
        if "=" not in part:
            continue
        key, value = part.split("=", 1)
        out[key] = value
    return out
---
def f(path: path) -> str:
    """File name extension."""
    name = path.rsplit("/", 1)[-1]
    if "." not in name:
        return ""
    return name.rsplit(".", 1)[1]
---
def f(path: path) -> list:
    """Parts of a path."""
    return [p for p in path.split("/") if p]
---
def f(version: version) -> tuple:
    """Parse a version."""
    return tuple(int(p) for p in version.split("."))
---
def f(date: date) -> int:
    """Year of a date."""
    parts = date.split("-")
    if len(parts) != 3:
        raise ValueError("not a date")
    return int(parts[0])
---
def f(clock: time) -> int:
    """Minutes since midnight."""
    hours, minutes = clock.split(":")
    if int(hours) > 23:
        raise ValueError("hour")
    return int(hours) * 60 + int(minutes)
---
def f(email: email) -> bool:
    """Whether an address looks right."""
    if email.count("@") != 1:
        return False
    user, host = email.split("@")
    return bool(user) and "." in host
---
def f(text: number) -> float:
    """Parse a number."""
    return float(text)
---
def f(text: number, default: int = -1) -> int:
    """Parse a number, or a default."""
    try:
        return int(text)
    except ValueError:
        return default
---
def f(seconds: int) -> str:
    """Format a duration."""
    if seconds < 0:
        raise ValueError("negative duration")
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}:{rest:02d}"
---
def f(score: int) -> str:
    """Grade a score."""
    if score >= 90:
        return "A"
    if score >= 75:
        return "B"
    if score >= 50:
        return "C"
    return "F"
---
def f(year: int) -> bool:
    """Leap years."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
---
def f(n: int) -> str:
    """Fizz and buzz."""
    if n % 15 == 0:
        return "FizzBuzz"
    if n % 3 == 0:
        return "Fizz"
    if n % 5 == 0:
        return "Buzz"
    return str(n)
---
def f(n: int, base: int = 2) -> str:
    """Digits of n in a base."""
    if base < 2:
        raise ValueError("base too small")
    if n == 0:
        return "0"
    digits = ""
    n = abs(n)
    while n:
        digits = str(n % base) + digits
        n //= base
    return digits
---
def f(n: int) -> list:
    """Prime factors."""
    out, p = [], 2
    while n > 1:
        while n % p == 0:
            out.append(p)
            n //= p
        p += 1
    return out
---
def f(n: int) -> int:
    """Steps of Collatz."""
    if n < 1:
        raise ValueError("n must be positive")
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
---
def f(n: int):
    """Count down."""
    while n > 0:
        yield n
        n -= 1
---
def f(items: list[int]):
    """Yield the even items."""
    for x in items:
        if x % 2 == 0:
            yield x
---
def f(items: list[int], size: int):
    """Sliding windows."""
    for i in range(len(items) - size + 1):
        yield tuple(items[i:i + size])
---
def f(price: float, rate: float = 0.2) -> float:
    """Price with tax."""
    if price < 0:
        raise ValueError("negative price")
    return round(price * (1 + rate), 2)
---
def f(x: float) -> str:
    """Sign of a number."""
    if x > 0:
        return "positive"
    if x < 0:
        return "negative"
    return "zero"
---
def f(celsius: float) -> float:
    """Celsius to Fahrenheit."""
    return celsius * 9 / 5 + 32
---
def f(point: tuple[int, int], other: tuple[int, int]) -> int:
    """Manhattan distance."""
    return abs(point[0] - other[0]) + abs(point[1] - other[1])
---
def f(pairs: list[tuple[str, int]]) -> dict:
    """Totals by name."""
    out = {}
    for name, amount in pairs:
        out[name] = out.get(name, 0) + amount
    return out
---
def f(pairs: list[tuple[str, int]]) -> list:
    """Names by amount, highest first."""
    return [name for name, _ in sorted(pairs, key=lambda p: (-p[1], p[0]))]
---
def f(a: set[int], b: set[int]) -> set:
    """In one but not both."""
    return (a | b) - (a & b)
---
def f(values: list[float]) -> list:
    """Scale to the range 0..1."""
    if not values:
        return []
    low, high = min(values), max(values)
    if low == high:
        return [0.0 for _ in values]
    return [(v - low) / (high - low) for v in values]
---
def f(text: str, *, upper: bool = False) -> str:
    """Trim, and shout where asked."""
    text = text.strip()
    return text.upper() if upper else text
---
def f(items: list[int], *, reverse: bool = False) -> list:
    """Sort a copy."""
    return sorted(items, reverse=reverse)
---
def f(age: int) -> int:
    """Check an age."""
    if not isinstance(age, int):
        raise TypeError("age must be an int")
    if age < 0 or age > 150:
        raise ValueError("age out of range")
    return age
---
def f(user: str) -> str:
    """Check a user name."""
    if len(user) < 3:
        raise ValueError("too short")
    if not user.isalnum():
        raise ValueError("letters and digits only")
    return user.lower()
---
def f(items: list[int], index: int) -> int:
    """Item at an index, or -1."""
    try:
        return items[index]
    except IndexError:
        return -1
---
def f(brackets: str) -> bool:
    """Whether brackets are balanced."""
    depth = 0
    for c in brackets:
        if c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth < 0:
                return False
    return depth == 0
---
def f(text: str, old: str, new: str = "") -> str:
    """Replace."""
    if not old:
        return text
    return text.replace(old, new)
---
def f(text: str) -> str:
    """Initials."""
    return "".join(w[0].upper() for w in text.split())
---
def f(a: str, b: str) -> int:
    """Hamming distance."""
    if len(a) != len(b):
        raise ValueError("lengths differ")
    return sum(x != y for x, y in zip(a, b))
---
def f(a: str, b: str) -> str:
    """Longest common prefix."""
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return a[:n]
---
def f(value) -> str:
    """Describe a value."""
    if value is None:
        return "none"
    return type(value).__name__
---
def f(items: list[int]) -> int:
    """Largest sum of a slice."""
    best = current = 0
    for x in items:
        current = max(0, current + x)
        best = max(best, current)
    return best
---
def f(n: int) -> list:
    """Rows of stars."""
    return ["*" * i for i in range(1, n + 1)]
---
def f(flag: bool, a: str, b: str) -> str:
    """One or the other."""
    return a if flag else b
'''

_CLASSES = '''
class C:
    """A counter."""

    def __init__(self, start: int = 0):
        self.value = start

    def add(self, step: int = 1) -> int:
        self.value += step
        return self.value

    def reset(self) -> None:
        self.value = 0
---
class C:
    """An account."""

    def __init__(self, owner: str, balance: int = 0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount: int) -> int:
        if amount <= 0:
            raise ValueError("amount must be positive")
        self.balance += amount
        return self.balance

    def withdraw(self, amount: int) -> int:
        if amount > self.balance:
            raise ValueError("not enough")
        self.balance -= amount
        return self.balance
---
class C:
    """A stack."""

    def __init__(self):
        self.items = []

    def push(self, item: int) -> None:
        self.items.append(item)

    def pop(self) -> int:
        if not self.items:
            raise IndexError("empty")
        return self.items.pop()

    def size(self) -> int:
        return len(self.items)
---
class C:
    """A point."""

    def __init__(self, x: int, y: int):
        self.x = x
        self.y = y

    def move(self, dx: int, dy: int) -> None:
        self.x += dx
        self.y += dy

    def norm(self) -> int:
        return abs(self.x) + abs(self.y)
---
class C:
    """A cart."""

    def __init__(self):
        self.prices = {}

    def add(self, name: str, price: int) -> int:
        self.prices[name] = price
        return len(self.prices)

    def remove(self, name: str) -> int:
        if name not in self.prices:
            raise KeyError(name)
        return self.prices.pop(name)

    def total(self) -> int:
        return sum(self.prices.values())
---
class C:
    """A rectangle."""

    def __init__(self, width: int, height: int):
        if width < 0 or height < 0:
            raise ValueError("negative side")
        self.width = width
        self.height = height

    def area(self) -> int:
        return self.width * self.height

    def scale(self, factor: int) -> int:
        self.width *= factor
        self.height *= factor
        return self.area()
---
class C:
    """A switch."""

    def __init__(self, on: bool = False):
        self.on = on

    def toggle(self) -> bool:
        self.on = not self.on
        return self.on
---
class C:
    """Words that were seen."""

    def __init__(self, limit: int = 3):
        self.limit = limit
        self.words = []

    def see(self, word: str) -> bool:
        if word in self.words:
            return False
        self.words.append(word)
        return True

    def full(self) -> bool:
        return len(self.words) >= self.limit
'''


def functions() -> list[str]:
    """The source of each family of functions; the function is called ``f``."""
    return [part.strip("\n") + "\n" for part in _SOURCES.split("---\n")]


def classes() -> list[str]:
    """The source of each family of classes; the class is called ``C``."""
    return [part.strip("\n") + "\n" for part in _CLASSES.split("---\n")]
