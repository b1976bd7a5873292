//! DATA: wherever the octets are cut, the same content and the same end come out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::smtp::budget::Budget;
use waxseal::smtp::content::Content;
use waxseal::smtp::data::DataReader;

fn read(octets: &[u8], piece: usize) -> (usize, bool, Result<Vec<u8>, String>) {
    let budget = Budget::new(1 << 20, 1 << 20);
    let mut reader = DataReader::new(Content::new(budget.share(), 64 * 1024, 0));
    let (mut start, mut done) = (0, false);
    while !done && start < octets.len() {
        let end = octets.len().min(start + piece);
        let (taken, over) = reader.read(&octets[start..end]);
        assert!(taken > 0 || over, "no progress");
        start += taken;
        done = over;
    }
    (start, done, reader.finish().finish().map(|(message, _)| message).map_err(|fault| format!("{fault:?}")))
}

fuzz_target!(|octets: &[u8]| {
    let whole = read(octets, octets.len().max(1));
    for piece in [1, 2, 3, 7] {
        assert_eq!(read(octets, piece), whole, "cut into pieces of {piece}");
    }
    if whole.1 {
        let end = &octets[..whole.0];
        assert!(end == b".\r\n" || end.ends_with(b"\r\n.\r\n"), "something else ended the message");
    }
});
