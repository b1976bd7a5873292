//! Replies of a hostile server: bounded, and wherever they are cut, the same replies come out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::deliver::reply::ReplyReader;

/// The replies until the first mistake; where a mistake is seen may depend on the cutting, what came before may not.
fn read(octets: &[u8], piece: usize) -> Vec<String> {
    let mut reader = ReplyReader::default();
    let mut replies = Vec::new();
    for chunk in octets.chunks(piece) {
        if reader.feed(chunk).is_err() {
            return replies;
        }
        loop {
            match reader.next_reply() {
                Ok(Some(reply)) => {
                    assert!(reply.text.chars().count() <= 1_000, "the text is not bounded");
                    assert!((200..600).contains(&reply.code), "a code that is none");
                    assert!(!reply.text.contains(|c: char| c.is_control() && c != '\n'), "a control character came through");
                    replies.push(format!("{reply:?}"));
                }
                Ok(None) => break,
                Err(_) => return replies,
            }
        }
    }
    replies
}

fuzz_target!(|octets: &[u8]| {
    let whole = read(octets, octets.len().max(1));
    for piece in [1, 5] {
        let cut = read(octets, piece);
        let same = cut.len().min(whole.len());
        assert_eq!(cut[..same], whole[..same], "cut into pieces of {piece}");
    }
});
