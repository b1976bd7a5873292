//! Replies of a hostile server: bounded, cut anywhere, the same replies come out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::deliver::reply::ReplyReader;

fn read(octets: &[u8], piece: usize) -> String {
    let mut reader = ReplyReader::default();
    let mut seen = String::new();
    for chunk in octets.chunks(piece) {
        if let Err(error) = reader.feed(chunk) {
            return seen + &format!("{error:?}");
        }
        loop {
            match reader.next() {
                Ok(Some(reply)) => {
                    assert!(reply.text.chars().count() <= 1_000);
                    assert!((200..=599).contains(&reply.code));
                    seen += &format!("{reply:?}\n");
                }
                Ok(None) => break,
                Err(error) => return seen + &format!("{error:?}"),
            }
        }
    }
    seen
}

fuzz_target!(|octets: &[u8]| {
    // Below the bound on replies that wait, so that only the cutting differs.
    if octets.len() < 60_000 {
        assert_eq!(read(octets, 1), read(octets, octets.len().max(1)));
    }
});
