"""Card numbers that nobody owns: issuer, length, check digit, and the ways people group them."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Issuer:
    brand: str
    prefixes: tuple[str, ...]
    lengths: tuple[int, ...]
    # Needs a card word near, because one number in fifty looks like it by chance.
    weak: bool = False


ISSUERS = (
    Issuer("visa", ("4",), (16,)),
    Issuer("visa", ("4",), (16,)),
    Issuer("visa", ("4",), (19,)),
    Issuer("mastercard", ("51", "52", "53", "54", "55"), (16,)),
    Issuer("mastercard", ("2221", "2300", "2450", "2699", "2720"), (16,)),
    Issuer("american express", ("34", "37"), (15,)),
    Issuer("discover", ("6011", "644", "649", "65"), (16,)),
    Issuer("discover", ("6011",), (19,)),
    Issuer("diners club", ("300", "305", "3095", "36", "38", "39"), (14,)),
    Issuer("diners club", ("36", "38"), (16,)),
    Issuer("jcb", ("3528", "3530", "3566", "3589"), (16,)),
    Issuer("unionpay", ("62", "8101", "8171"), (16, 17, 18, 19)),
    Issuer("maestro", ("5018", "5020", "5038", "5893", "6304", "6759", "6761", "6763"), (16, 18, 19)),
    Issuer("rupay", ("6521", "508", "60", "81", "82"), (16,)),
    Issuer("mir", ("2200", "2204"), (16,)),
    Issuer("troy", ("9792",), (16,)),
    Issuer("elo", ("401178", "438935", "504175", "509045", "636368", "650031"), (16,)),
    Issuer("hipercard", ("606282",), (16,)),
    Issuer("dankort", ("5019", "4571"), (16,)),
    Issuer("verve", ("506110", "507880", "650005"), (16, 18, 19)),
)

WEAK = (
    Issuer("visa", ("4",), (13,), True),
    Issuer("uatp", ("1",), (15,), True),
    Issuer("maestro", ("5018", "6304", "6759"), (12, 13, 14, 15), True),
    Issuer("interpayment", ("636",), (16,), True),
    Issuer("cabal", ("6042", "589657"), (16,), True),
    Issuer("uzcard", ("8600",), (16,), True),
    Issuer("humo", ("9860",), (16,), True),
    Issuer("napas", ("9704",), (16, 19), True),
    Issuer("hiper", ("637095",), (16,), True),
)

# Numbers from the documentation of payment services: people try the product with them.
TEST_NUMBERS = (
    "4111111111111111", "4242424242424242", "4000056655665556", "5555555555554444", "2223003122003222",
    "5105105105105100", "378282246310005", "371449635398431", "6011111111111117", "6011000990139424",
    "3056930009020004", "36227206271667", "38520000023237", "3566002020360505", "6200000000000005",
    "4012888888881881", "5200828282828210", "6304000000000000", "2200000000000004", "9792020000000001",
)


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def complete(head: str) -> str:
    return next(head + last for last in "0123456789" if luhn(head + last))


def draw(rng: Random, issuer: Issuer) -> str:
    length = rng.choice(issuer.lengths)
    head = rng.choice(issuer.prefixes)
    while True:
        digits = complete(head + "".join(rng.choice("0123456789") for _ in range(length - len(head) - 1)))
        # A number that repeats itself could hide in its own kept digits.
        if len(set(digits)) >= 5:
            return digits


def pan_shaped(digits: str) -> bool:
    """Would issuer, length and check digit of any row, weak ones included, hold?"""
    if not 12 <= len(digits) <= 19 or not luhn(digits):
        return False
    two, three, four = int(digits[:2]), int(digits[:3]), int(digits[:4])
    return (
        digits[0] in "4"
        or 51 <= two <= 55
        or two in (34, 37, 36, 38, 39, 62, 65, 60, 81, 82, 50, 56, 57, 58, 59, 63, 67, 31, 86, 97, 98)
        or 2200 <= four <= 2720
        or 300 <= three <= 309
        or 3528 <= four <= 3589
        or 640 <= three <= 649
        or four in (1800, 2131, 1946, 9792, 9704, 9860, 8600)
        or digits[0] == "1" and len(digits) == 15
    )


def groups(rng: Random, digits: str) -> list[str]:
    """As printed on the card."""
    n = len(digits)
    if n == 15:
        cuts = [4, 10]
    elif n == 14:
        cuts = rng.choice(([4, 10], [4, 8, 12]))
    elif n == 19 and rng.random() < 0.4:
        cuts = [6]
    else:
        cuts = list(range(4, n, 4))
    edges = [0, *cuts, n]
    return [digits[a:b] for a, b in zip(edges, edges[1:])]


def odd_groups(rng: Random, digits: str) -> list[str]:
    """As people write who do not look at the card."""
    size = rng.choice((8, 4, 2, 1, 5, 12))
    if size == 12:
        return [digits[:-4], digits[-4:]]
    return [digits[at : at + size] for at in range(0, len(digits), size)]
