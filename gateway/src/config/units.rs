//! Sizes, times and rates as people write them.
//!
//! `kB`, `MB`, `GB`, `TB` are powers of 1,000 and `KiB`, `MiB`, `GiB`, `TiB` powers of 1,024 (IEC 80000-13), so that
//! "25MB" means here what it means to whoever sells disks and mailboxes. A number without a unit is refused:
//! every reader would guess another unit.

use std::time::Duration;

const SIZES: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const SPANS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

/// `25MB` in octets; `None` if it is not a whole number with a unit, or too large.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// `5d`, `90m`, `250ms`; `None` if it is not a whole number with a unit, or too large.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, factor) = SPANS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor).map(Duration::from_millis)
}

/// `200/s`, `30/m`, `5000/h`, as so many a second; `None` if it is not that, or nothing at all a second.
pub fn parse_rate(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once('/')?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: u32 = number.trim().parse().ok()?;
    (number > 0).then(|| f64::from(number) / seconds)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    Some((&text[..at], text[at..].trim_start()))
}

/// A size in the largest unit of 1,000 that shows it whole; [`parse_size`] reads it back.
pub fn format_size(octets: u64) -> String {
    let unit = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)]
        .into_iter()
        .find(|(_, factor)| octets > 0 && octets.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{octets}B"), |(name, factor)| format!("{}{name}", octets / factor))
}

/// A time in the largest unit that shows it whole; [`parse_duration`] reads it back, to the millisecond.
pub fn format_duration(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let unit = SPANS
        .iter()
        .rev()
        .filter(|(name, _)| *name != "w")
        .find(|(_, factor)| millis > 0 && millis.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{millis}ms"), |(name, factor)| format!("{}{name}", millis / factor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_mean_what_they_say() {
        assert_eq!(parse_size("25MB"), Some(25_000_000));
        assert_eq!(parse_size("25 MiB"), Some(25 << 20));
        assert_eq!(parse_size("0B"), Some(0));
        assert_eq!(parse_duration("5d"), Some(Duration::from_hours(120)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_rate("200/s"), Some(200.0));
        assert_eq!(parse_rate("30/m"), Some(0.5));
        for bad in ["", "25", "MB", "-1MB", "1.5MB", "99999999999TB", "5 days", "1MB2", "５MB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        for bad in ["", "/s", "200", "0/s", "-1/s", "200/d", "1e9/s"] {
            assert_eq!(parse_rate(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_back(octets: u64, millis in 0..u64::MAX / 2) {
            prop_assert_eq!(parse_size(&format_size(octets)), Some(octets));
            let span = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(span)), Some(span));
        }

        #[test]
        fn arbitrary_text_is_read_or_refused(text in "\\PC*") {
            let _ = (parse_size(&text), parse_duration(&text), parse_rate(&text));
        }
    }
}
