"""Sentences with a number in them: plain, unusual and perverse ways to write one."""

from random import Random

from pans import groups, odd_groups

SENTENCES = {
    "en": ("My card number is {}.", "Please refund {}", "card: {}", "I paid with {} yesterday", "{}", "Number {} exp 04/29"),
    "de": ("Meine Kartennummer lautet {}.", "Kreditkarte: {}", "Bitte buchen Sie {} zurück", "Karte {} gültig bis 11/28"),
    "fr": ("Ma carte : {}", "Numéro de carte {} merci", "Paiement par carte bancaire {} refusé"),
    "es": ("Mi tarjeta es {}", "Número de tarjeta: {} gracias"),
    "pt": ("O número do meu cartão é {}.", "cartão {} validade 05/30"),
    "it": ("Numero carta {}", "La mia carta di credito {} non funziona"),
    "nl": ("Mijn kaartnummer is {}", "creditkaart {}"),
    "pl": ("Numer karty: {}", "Karta kredytowa {}"),
    "cs": ("Číslo karty {}", "platební karta {}"),
    "ru": ("Номер карты {}", "Моя карта {} заблокирована"),
    "tr": ("Kart numaram {}", "Kredi kartı: {}"),
    "ja": ("カード番号は{}です。", "クレジットカード：{}", "番号 {} で支払いました"),
    "zh": ("我的卡号是{}。", "信用卡：{}"),
    "ko": ("카드 번호는 {} 입니다", "신용카드 {}"),
    "ar": ("رقم البطاقة {}",),
    "he": ("מספר הכרטיס {}",),
    "hi": ("मेरा कार्ड नंबर {} है",),
    "th": ("หมายเลขบัตร {}",),
    "el": ("Ο αριθμός κάρτας {}",),
    "sv": ("Mitt kortnummer är {}",),
    "fi": ("Korttinumero {}",),
    "vi": ("Số thẻ {}",),
}

BARE = ("{}", "Here it is: {} thanks", "Use {} please.", "It was {}, I think", "({})", "Charge failed for {}!", "« {} »", "*{}*",
        "No:{}", "id={};", "[{}]", "\"{}\"", "'{}'", "{}.", "{}?", "->{}<-", "a) {}")

# A number, a date or an amount beside the card number, and its edge must still be seen.
NEIGHBOURS = (
    "Payment 12 {} ok", "2026 {} 12/27", "Order 48213 card {} amount 49.90", "{} 04/29 123", "{} 0429", "{}, exp. 04/2029, CVV 123",
    "1. {}", "12/27 {}", "€ 49,90 {}", "{} 100.00 EUR", "10:42 {} 10:43", "#3 {} #4", "Inv-2026-1182 {} paid", "{} x2", "Room 12\n{}\nFloor 3",
    "Tel. 555-0142, card {}", "20261123 {} 150", "ref 99 {} qty 3", "{}/04/29", "{};04/29;123", "{}|04|29|123", "{}\t04/29\t123",
)

CARD_WORDS = ("Visa {}", "card number {}", "Kreditkarte {}", "carte {}", "tarjeta: {}", "Card no. {}", "credit card {}", "карта {}",
              "cartão {}", "カード番号 {}", "card={}", "{} (Maestro card)", "debit card\t{}", "PAN: {}", "karta {}")

PLAIN = ("", " ", "-")
UNUSUAL = ("\u00a0", "\u2009", "\u202f", "\u2007", "\u2013", "\u2014", "\u2010", "\u2011", "\u2012", "\u2212", ".", "/", "_", "\u2022",
           "\u00b7", "\t", "  ", " - ", "--", " \u2013 ", ":", "|", "\u3000", "\u2003", "\uff0d", "\u30fb", ", ", ",", " . ", " / ", "~", "\\")
LINES = ("\n", "-\n", " \n", "\n> ", "\n  ")
INVISIBLE = ("\u200b", "\u00ad", "\u2060", "\u200d", "\u200c", "\ufeff", "\u200e", "\u034f", "\u180e", "\ufe0f", "\u202a")

# First digits of scripts that people write numbers in.
SCRIPTS = {
    "full width": 0xFF10, "arabic-indic": 0x660, "extended arabic": 0x6F0, "devanagari": 0x966, "bengali": 0x9E6, "thai": 0xE50,
    "tamil": 0xBE6, "gujarati": 0xAE6, "lao": 0xED0, "tibetan": 0xF20, "myanmar": 0x1040, "khmer": 0x17E0, "mongolian": 0x1810,
    "bold": 0x1D7CE, "double-struck": 0x1D7D8, "sans": 0x1D7E2, "monospace": 0x1D7F6, "nko": 0x7C0, "adlam": 0x1E950, "segmented": 0x1FBF0,
}


def in_script(digits: str, zero: int) -> str:
    return "".join(chr(zero + int(c)) if c.isascii() and c.isdigit() else c for c in digits)


def join(rng: Random, digits: str, separator: str) -> str:
    return separator.join(groups(rng, digits))


def circled(digits: str) -> str:
    return "".join("\u24ea" if c == "0" else chr(0x245F + int(c)) for c in digits)


def superscript(digits: str) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(c)] for c in digits)


def keycaps(digits: str) -> str:
    return "".join(c + "\ufe0f\u20e3" for c in digits)


def sentence(rng: Random, written: str, bare: bool = False) -> str:
    if bare or rng.random() < 0.45:
        return rng.choice(BARE).replace("{}", written)
    return rng.choice(SENTENCES[rng.choice(list(SENTENCES))]).replace("{}", written)


def plain(rng: Random, digits: str) -> tuple[str, str]:
    return "usual separators", join(rng, digits, rng.choice(PLAIN))


def unusual(rng: Random, digits: str) -> tuple[str, str]:
    match rng.randrange(6):
        case 0 | 1 | 2:
            return "rare separators", join(rng, digits, rng.choice(UNUSUAL))
        case 3:
            return "scripts", join(rng, in_script(digits, rng.choice(list(SCRIPTS.values()))), rng.choice(PLAIN))
        case 4:
            return "odd groups", rng.choice((" ", "-")).join(odd_groups(rng, digits))
        case _:
            return "line break", line_break(rng, digits)


def line_break(rng: Random, digits: str) -> str:
    parts = groups(rng, digits)
    cut = rng.randrange(1, len(parts))
    separator = rng.choice((" ", "-"))
    return separator.join(parts[:cut]) + rng.choice(LINES) + separator.join(parts[cut:])


def perverse(rng: Random, digits: str) -> tuple[str, str]:
    match rng.randrange(9):
        case 0:
            return "invisible between all", rng.choice(INVISIBLE).join(digits)
        case 1:
            out = ""
            for c in digits:
                out += c + (rng.choice(INVISIBLE) if rng.random() < 0.3 else "")
            return "invisible here and there", out
        case 2:
            parts = groups(rng, digits)
            return "mixed separators", "".join(part + rng.choice((" ", "-", "\u00a0", "\u2013")) for part in parts[:-1]) + parts[-1]
        case 3:
            mixed = "".join(chr(rng.choice((0x30, 0xFF10, 0x660, 0x1D7CE)) + int(c)) for c in digits)
            return "mixed scripts", mixed
        case 4:
            return "circled and raised", rng.choice((circled, superscript))(digits)
        case 5:
            return "keycaps", keycaps(digits)
        case 6:
            return "single digits", rng.choice((" ", "-", ".", "\u00a0", "_")).join(digits)
        case 7:
            parts = groups(rng, digits)
            return "markdown", " ".join(f"**{part}**" for part in parts)
        case _:
            parts = groups(rng, digits)
            return "wide separators", rng.choice(("   ", " -- ", " – ", " • ", "\t\t", " . ", "...")).join(parts)
