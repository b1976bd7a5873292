//! Who issues which numbers, and how long they are: data, with the check digit (ISO/IEC 7812-1).
//!
//! Sources: braintree/credit-card-type 10.3.0 (June 2026), the static ranges of Stripe's Android kit, the Wikipedia
//! table of payment card numbers (July 2024), Zendesk's gem 1.1.0. Where they differ, the wider range is taken if a
//! number chosen at random seldom falls in it, and the row is weak otherwise.

/// How much a row proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Only with a word about cards near by: the range is wide, or the check digit is all that speaks for it.
    Weak,
    /// Enough together with length, check digit and grouping.
    Strong,
}

/// An issuer that a number may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issuer {
    /// The network's name, as reports and metrics say it.
    pub brand: &'static str,
    /// How much the range proves.
    pub strength: Strength,
}

/// The shortest and the longest number.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 12..=19;

struct Row {
    brand: &'static str,
    /// First and last prefix, with the same number of digits.
    low: u32,
    high: u32,
    /// Lengths of strong numbers, a bit each.
    strong: u32,
    /// Lengths of weak ones.
    weak: u32,
}

const fn bits(list: &[u32]) -> u32 {
    let (mut bits, mut i) = (0, 0);
    while i < list.len() {
        bits |= 1 << list[i];
        i += 1;
    }
    bits
}

const fn row(brand: &'static str, low: u32, high: u32, strong: &[u32], weak: &[u32]) -> Row {
    Row { brand, low, high, strong: bits(strong), weak: bits(weak) }
}

/// Narrow rows stand before the wide ones that contain them: the first that fits names the brand.
const ROWS: &[Row] = &[
    row("elo", 401_178, 401_179, &[16], &[]),
    row("elo", 438_935, 438_935, &[16], &[]),
    row("elo", 451_416, 451_416, &[16], &[]),
    row("elo", 457_393, 457_393, &[16], &[]),
    row("elo", 457_631, 457_632, &[16], &[]),
    row("elo", 431_274, 431_274, &[16], &[]),
    row("elo", 504_175, 504_175, &[16], &[]),
    row("elo", 506_699, 506_778, &[16], &[]),
    row("elo", 509_000, 509_999, &[16], &[]),
    row("elo", 627_780, 627_780, &[16], &[]),
    row("elo", 636_297, 636_297, &[16], &[]),
    row("elo", 636_368, 636_368, &[16], &[]),
    row("verve", 650_002, 650_027, &[16, 18, 19], &[]),
    row("elo", 650_031, 650_033, &[16], &[]),
    row("elo", 650_035, 650_051, &[16], &[]),
    row("elo", 650_405, 650_439, &[16], &[]),
    row("elo", 650_485, 650_538, &[16], &[]),
    row("elo", 650_541, 650_598, &[16], &[]),
    row("elo", 650_700, 650_727, &[16], &[]),
    row("elo", 650_901, 650_978, &[16], &[]),
    row("elo", 651_652, 651_679, &[16], &[]),
    row("elo", 655_000, 655_058, &[16], &[]),
    row("verve", 506_099, 506_198, &[16, 18, 19], &[]),
    row("verve", 507_865, 507_964, &[16, 18, 19], &[]),
    row("hipercard", 606_282, 606_282, &[16], &[]),
    row("hiper", 637_095, 637_095, &[], &[16]),
    row("hiper", 637_568, 637_568, &[], &[16]),
    row("hiper", 637_599, 637_599, &[], &[16]),
    row("hiper", 637_609, 637_609, &[], &[16]),
    row("hiper", 637_612, 637_612, &[], &[16]),
    row("cabal", 6042, 6044, &[], &[16]),
    row("cabal", 589_657, 589_657, &[], &[16]),
    row("naranja", 589_562, 589_562, &[], &[16]),
    row("forbrugsforeningen", 600_722, 600_722, &[], &[16]),
    row("ukrcard", 604_001, 604_200, &[16, 19], &[17, 18]),
    row("dankort", 5019, 5019, &[16], &[]),
    row("dankort", 4571, 4571, &[16], &[]),
    row("visa", 4, 4, &[16, 19], &[13, 18]),
    row("mir", 2200, 2204, &[16], &[17, 18, 19]),
    row("borica", 2205, 2205, &[], &[16]),
    row("mastercard", 51, 55, &[16], &[]),
    row("mastercard", 2221, 2720, &[16], &[]),
    row("american express", 34, 34, &[15], &[]),
    row("american express", 37, 37, &[15], &[]),
    row("discover", 6011, 6011, &[16, 19], &[17, 18]),
    row("rupay", 6521, 6522, &[16], &[]),
    row("discover", 644, 649, &[16, 19], &[17, 18]),
    row("discover", 65, 65, &[16, 19], &[17, 18]),
    row("diners club", 300, 305, &[14, 16], &[15, 17, 18, 19]),
    row("diners club", 3095, 3095, &[14, 16], &[15, 17, 18, 19]),
    row("diners club", 36, 36, &[14, 16], &[15, 17, 18, 19]),
    row("diners club", 38, 39, &[14, 16], &[15, 17, 18, 19]),
    // RuPay shares 353 and 356 with JCB, whose name they bear abroad.
    row("jcb", 3528, 3589, &[16], &[17, 18, 19]),
    row("jcb", 1800, 1800, &[], &[15]),
    row("jcb", 2131, 2131, &[], &[15]),
    row("unionpay", 62, 62, &[16, 17, 18, 19], &[14, 15]),
    row("rupay", 508, 508, &[16], &[]),
    row("rupay", 60, 60, &[16], &[]),
    row("unionpay", 810, 817, &[16, 17, 18, 19], &[]),
    row("rupay", 81, 82, &[16], &[]),
    row("troy", 9792, 9792, &[16], &[]),
    row("maestro", 5018, 5018, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("maestro", 5020, 5020, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("maestro", 5038, 5038, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("maestro", 5893, 5893, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("maestro", 6304, 6304, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("maestro", 6759, 6759, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("maestro", 6761, 6763, &[16, 17, 18, 19], &[12, 13, 14, 15]),
    row("uzcard", 8600, 8600, &[], &[16]),
    row("uzcard", 5614, 5614, &[], &[16]),
    row("humo", 9860, 9860, &[], &[16]),
    row("napas", 9704, 9704, &[], &[16, 19]),
    row("afrigo", 564_456, 564_456, &[], &[18]),
    row("gpn", 1946, 1946, &[], &[16]),
    row("t-union", 31, 31, &[], &[19]),
    row("interpayment", 636, 636, &[], &[16, 17, 18, 19]),
    row("instapayment", 637, 639, &[], &[16]),
    row("maestro", 50, 50, &[], &[12, 13, 14, 15, 16, 17, 18, 19]),
    row("maestro", 56, 59, &[], &[12, 13, 14, 15, 16, 17, 18, 19]),
    row("maestro", 63, 63, &[], &[12, 13, 14, 15, 16, 17, 18, 19]),
    row("maestro", 67, 67, &[], &[12, 13, 14, 15, 16, 17, 18, 19]),
    row("uatp", 1, 1, &[], &[15]),
];

/// Which lengths any row allows for numbers that begin with these three digits: most windows end here.
const COARSE: [u32; 1000] = {
    let mut table = [0; 1000];
    let mut i = 0;
    while i < ROWS.len() {
        let row = &ROWS[i];
        let (mut low, mut high) = (row.low, row.high);
        while low >= 1000 {
            low /= 10;
            high /= 10;
        }
        while low < 100 {
            low *= 10;
            high = high * 10 + 9;
            if low == 0 {
                break;
            }
        }
        let mut at = low;
        while at <= high {
            table[at as usize] |= row.strong | row.weak;
            at += 1;
        }
        i += 1;
    }
    table
};

/// Lengths, as bits, that any row allows for numbers that begin with these three digits.
pub fn lengths(prefix: u32) -> u32 {
    COARSE[prefix as usize % 1000]
}

/// Does any row allow numbers of this length with these first three digits? Most windows end here.
pub fn allows(digits: &[u8]) -> bool {
    LENGTHS.contains(&digits.len())
        && lengths(digits[..3].iter().fold(0, |value, digit| value * 10 + u32::from(*digit))) >> digits.len() & 1 == 1
}

/// The issuer of a number, by its digits' values; the check digit is not looked at.
pub fn issuer(digits: &[u8]) -> Option<Issuer> {
    if !allows(digits) {
        return None;
    }
    let six = digits[..6].iter().fold(0u32, |acc, d| acc * 10 + u32::from(*d));
    let bit = 1 << digits.len();
    let mut weak = None;
    for row in ROWS {
        if (row.strong | row.weak) & bit == 0 {
            continue;
        }
        let divisor = [100_000, 10_000, 1000, 100, 10, 1][row.low.ilog10() as usize];
        if (row.low..=row.high).contains(&(six / divisor)) {
            if row.strong & bit != 0 {
                return Some(Issuer { brand: row.brand, strength: Strength::Strong });
            }
            weak.get_or_insert(row.brand);
        }
    }
    weak.map(|brand| Issuer { brand, strength: Strength::Weak })
}

/// The check digit (ISO/IEC 7812-1 annex B), over digit values.
pub fn luhn(digits: &[u8]) -> bool {
    const DOUBLED: [u8; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let sum = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0u32, |sum, (i, d)| sum + u32::from(if i % 2 == 1 { DOUBLED[usize::from(*d % 10)] } else { *d }));
    sum % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn published_test_numbers_have_their_brands() {
        for (number, brand, strength) in [
            ("4111111111111111", "visa", Strength::Strong),
            ("4222222222222", "visa", Strength::Weak),
            ("5555555555554444", "mastercard", Strength::Strong),
            ("2223003122003222", "mastercard", Strength::Strong),
            ("378282246310005", "american express", Strength::Strong),
            ("6011111111111117", "discover", Strength::Strong),
            ("30569309025904", "diners club", Strength::Strong),
            ("3566002020360505", "jcb", Strength::Strong),
            ("3530111333300000", "jcb", Strength::Strong),
            ("3541599999099998", "jcb", Strength::Strong),
            ("6200000000000005", "unionpay", Strength::Strong),
            ("6759649826438453", "maestro", Strength::Strong),
            ("2200000000000004", "mir", Strength::Strong),
            ("9792000000000003", "troy", Strength::Strong),
        ] {
            let digits = values(number);
            assert!(luhn(&digits), "{number}");
            assert_eq!(issuer(&digits), Some(Issuer { brand, strength }), "{number}");
        }
    }

    #[test]
    fn lengths_and_strangers_are_refused() {
        for number in ["411111111111116", "9111111111111111", "0000000000000000", "41111111111111111", "37828224631000"]
        {
            assert_eq!(issuer(&values(number)), None, "{number}");
        }
        assert!(!luhn(&values("4111111111111112")));
    }

    #[test]
    fn rows_are_well_formed() {
        for row in ROWS {
            assert!(row.low <= row.high && row.low.ilog10() == row.high.ilog10() && row.high < 1_000_000);
            assert!(row.strong | row.weak != 0 && row.strong & row.weak == 0);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_one_wrong_digit_fails_the_check(mut digits in proptest::collection::vec(0u8..10, 11..19), at in 0usize..18, by in 1u8..10) {
            digits.push(0);
            let sum = (0..10).find(|check| { *digits.last_mut().unwrap() = *check; luhn(&digits) });
            proptest::prop_assert!(sum.is_some());
            let at = at % digits.len();
            digits[at] = (digits[at] + by) % 10;
            proptest::prop_assert!(!luhn(&digits));
        }
    }
}
