//! The encoding of uuencode (POSIX), which old mail programs name in Content-Transfer-Encoding.
//!
//! Read as leniently as they do: lines before `begin` and after `end` are none of it, a length that the line does not
//! have is cut. Everything else is as in [`super::Transfer`], of which this is a part.

use super::{EditSet, RawOffset};

fn value(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(0x20) & 63)
}

fn character(value: u32) -> u8 {
    if value == 0 { b'`' } else { value as u8 + 0x20 }
}

/// Calls `quantum(place, bits, octets)` for each four characters, which stand side by side from `place` on.
fn walk(raw: &[u8], mut quantum: impl FnMut(usize, u32, usize)) {
    let mut inside = false;
    let mut start = 0;
    while start < raw.len() {
        let end = memchr::memchr(b'\n', &raw[start..]).map_or(raw.len(), |found| start + found);
        let line = raw[start..end].trim_ascii_end();
        let at = start;
        start = end + 1;
        if !inside {
            inside = line.starts_with(b"begin ");
            continue;
        }
        if line == b"end" {
            return;
        }
        let Some((first, rest)) = line.split_first() else { continue };
        let mut octets = value(*first) as usize;
        for (i, four) in rest.chunks(4).enumerate() {
            if octets == 0 {
                break;
            }
            let bits = four.iter().enumerate().fold(0, |bits, (i, byte)| bits | value(*byte) << (18 - 6 * i));
            let count = octets.min(3).min(four.len() * 6 / 8);
            quantum(at + 1 + i * 4, bits, count);
            octets -= octets.min(3);
        }
    }
}

/// The content.
pub(super) fn decode(raw: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(raw.len() / 4 * 3);
    walk(raw, |_, bits, count| content.extend_from_slice(&bits.to_be_bytes()[1..=count]));
    content
}

/// Puts new octets in place of the content's at the given offsets, ascending.
pub(super) fn patch(raw: &[u8], changes: &[(usize, u8)], edits: &mut EditSet) {
    let mut content = 0;
    let mut changes = changes.iter().peekable();
    walk(raw, |place, old, count| {
        let mut new = old;
        while let Some((at, to)) = changes.next_if(|(at, _)| *at < content + count) {
            let shift = 16 - 8 * (at - content);
            new = new & !(0xff << shift) | u32::from(*to) << shift;
        }
        content += count;
        for i in 0..4 {
            let sextet = |bits: u32| bits >> (18 - 6 * i) & 63;
            if sextet(old) != sextet(new) {
                edits.put(RawOffset(place + i), character(sextet(new)));
            }
        }
    });
}

/// Other content under the same `begin` line.
pub(super) fn encode(raw: &[u8], content: &[u8]) -> Vec<u8> {
    let begin = memchr::memmem::find(raw, b"begin ").unwrap_or(0);
    let end = memchr::memchr(b'\n', &raw[begin..]).map_or(raw.len(), |found| begin + found + 1);
    let mut out = raw[..end].to_vec();
    for line in content.chunks(45) {
        out.push(character(line.len() as u32));
        for three in line.chunks(3) {
            let bits = three.iter().enumerate().fold(0, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
            out.extend((0..4).map(|i| character(bits >> (18 - 6 * i) & 63)));
        }
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"`\r\nend\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_octets_and_nothing_else() {
        let raw = b"begin 644 a.txt\r\n.8V%R9\" T,3$Q(#$Q,3$ \r\n`\r\nend\r\nfooter 4111\r\n";
        assert_eq!(decode(raw), b"card 4111 1111");
        let mut edits = EditSet::new();
        patch(raw, &[(5, b'*'), (8, b'*')], &mut edits);
        let after = edits.apply(raw);
        assert_eq!((decode(&after).as_slice(), after.len()), (&b"card *11* 1111"[..], raw.len()));
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_is_decoded(content in proptest::collection::vec(proptest::num::u8::ANY, 0..200), junk in "[ -~\n]{0,80}") {
            let raw = encode(b"begin 644 x\r\n", &content);
            proptest::prop_assert_eq!(decode(&raw), content);
            decode(format!("begin 644 x\n{junk}").as_bytes());
        }
    }
}
