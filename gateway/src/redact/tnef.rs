//! TNEF (`winmail.dat`, MS-OXTNEF): the text, properties and attached files that Outlook packs into one part.
//!
//! Attributes are walked, not interpreted: each one's bytes are read for what they are (a file, text, properties) and
//! written back with their new length and check sum. Compressed RTF (MS-OXRTFCP) that holds a number is written
//! uncompressed. A damaged file is read as plain text only and follows `unscannable`.

use super::Refusal;
use super::kind::Kind;
use super::stage::{Place, Stage};
use crate::message::{EditSet, RawOffset, wipe};

const SIGNATURE: usize = 6;
/// Level, identifier, type and length.
const HEAD: usize = 9;
/// `attAttachData`, `attMsgProps`, `attAttachment` (MS-OXTNEF §2.1.3.2).
const FILE: u16 = 0x800f;
const PROPERTIES: [u16; 2] = [0x9003, 0x9005];
/// What a compressed RTF property may unpack to.
const MOST_RTF: usize = 8 << 20;

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// Redacts a TNEF file.
pub fn redact(stage: &mut Stage<'_>, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
    let mut edits = EditSet::new();
    let mut at = SIGNATURE;
    while at < content.len() {
        let data = u32_at(content, at + 5).and_then(|len| {
            let start = at + HEAD;
            let end = start.checked_add(len)?;
            content.get(start..end.checked_add(2)?).map(|_| start..end)
        });
        let Some(range) = data else {
            let rest = stage.opaque(&content[at..], "damaged TNEF, read as plain text only", place)?;
            edits.absorb(rest, RawOffset(at));
            break;
        };
        let attribute = u16::from_le_bytes([content[at + 1], content[at + 2]]);
        let data = &content[range.clone()];
        let found = match attribute {
            FILE => stage.member(data, "", &place.inside("attachment"))?,
            _ if PROPERTIES.contains(&attribute) => properties(stage, data, place)?,
            _ => stage.text_content(data, None, Kind::Text, &place.inside("text"))?,
        };
        if !found.is_empty() {
            let new = found.apply(data);
            let sum = new.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
            edits.replace(RawOffset(at + 5)..RawOffset(at + HEAD), (new.len() as u32).to_le_bytes());
            edits.replace(RawOffset(range.end)..RawOffset(range.end + 2), sum.to_le_bytes());
            edits.replace(RawOffset(range.start)..RawOffset(range.end), new);
        }
        at = range.end + 2;
    }
    Ok(edits)
}

/// Properties: plain text of one and two bytes a character where it stands, and compressed RTF.
fn properties(stage: &mut Stage<'_>, data: &[u8], place: &Place) -> Result<EditSet, Refusal> {
    let mut edits = EditSet::new();
    for magic in memchr::memmem::find_iter(data, b"LZFu") {
        let Some(start) = magic.checked_sub(8) else { continue };
        let Some(size) = u32_at(data, start).map(|size| size + 4) else { continue };
        let Some(packed) = data.get(start..start.saturating_add(size)) else { continue };
        stage.expand(packed.len())?;
        let Some(text) = unpack(packed) else {
            stage.unscannable(place, "damaged RTF in TNEF")?;
            continue;
        };
        stage.expand(text.len())?;
        let found = stage.text_content(&text, None, Kind::Rtf, &place.inside("RTF text"))?;
        // The length of the property stands before it; elsewhere the bytes only look like one.
        let is_property = start >= 4 && u32_at(data, start - 4) == Some(size);
        if found.is_empty() || !is_property {
            wipe(text);
            continue;
        }
        let new = found.apply(&text);
        wipe(text);
        let mut plain = Vec::with_capacity(new.len() + 20);
        plain.extend_from_slice(&(new.len() as u32 + 12).to_le_bytes());
        plain.extend_from_slice(&(new.len() as u32).to_le_bytes());
        plain.extend_from_slice(b"MELA\0\0\0\0");
        plain.extend_from_slice(&new);
        wipe(new);
        let len = (plain.len() as u32).to_le_bytes();
        plain.resize(plain.len().next_multiple_of(4), 0);
        edits.replace(RawOffset(start - 4)..RawOffset(start), len);
        let padded = size.next_multiple_of(4).min(data.len() - start);
        edits.replace(RawOffset(start)..RawOffset(start + padded), plain);
    }
    edits.absorb(stage.scattered(data, &place.inside("properties"))?, RawOffset(0));
    Ok(edits)
}

/// What the dictionary holds before the first character (MS-OXRTFCP §2.1.2.1).
const PRELOADED: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Unpacks compressed RTF; `None` if it is damaged.
fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    const RING: usize = 4096;
    let size = u32_at(packed, 4)?;
    if size > MOST_RTF {
        return None;
    }
    let mut ring = [0u8; RING];
    ring[..PRELOADED.len()].copy_from_slice(PRELOADED);
    let mut write = PRELOADED.len();
    let mut out = Vec::with_capacity(size.min(1 << 20));
    let mut put = |byte: u8, out: &mut Vec<u8>, ring: &mut [u8; RING]| {
        out.push(byte);
        ring[write] = byte;
        write = (write + 1) % RING;
        write
    };
    let mut next = PRELOADED.len();
    let mut at = 16;
    while at < packed.len() && out.len() < size {
        let control = packed[at];
        at += 1;
        for bit in 0..8 {
            if control >> bit & 1 == 0 {
                let Some(byte) = packed.get(at) else { return Some(out) };
                next = put(*byte, &mut out, &mut ring);
                at += 1;
                continue;
            }
            let Some([high, low]) = packed.get(at..at + 2) else { return Some(out) };
            let reference = u16::from_be_bytes([*high, *low]);
            at += 2;
            let (offset, len) = (usize::from(reference >> 4), usize::from(reference & 15) + 2);
            // A reference to the place that is written next is the end.
            if offset == next {
                return Some(out);
            }
            for i in 0..len {
                let byte = ring[(offset + i) % RING];
                next = put(byte, &mut out, &mut ring);
            }
            if out.len() > MOST_RTF {
                return None;
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_examples_unpack() {
        // MS-OXRTFCP §4.1.1, and §4.1.2 whose references overlap themselves.
        let simple = b"\x2d\0\0\0\x2b\0\0\0LZFu\xf1\xc5\xc7\xa7\x03\0\x0a\0rcpg125\x42\x32\x0a\xf3 hel\x09\0 bw\x05\xb0ld}\x0a\x80\x0f\xa0";
        assert_eq!(unpack(simple).unwrap(), b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        let crossing = b"\x1a\0\0\0\x1c\0\0\0LZFu\xe2\xd4\x4b\x51\x41\0\x04\x20WXYZ\x0d\x6e\x7d\x01\x0e\xb0";
        assert_eq!(unpack(crossing).unwrap(), b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}");
    }

    proptest::proptest! {
        #[test]
        fn nothing_upsets_it(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            unpack(&bytes);
            let (policy, limits) = (crate::redact::Policy::default(), crate::redact::Limits::default());
            let place = Place { part: "1".into(), place: "body".into(), media: String::new(), archives: 0 };
            let _ = redact(&mut Stage::new(&policy, &limits), &bytes, &place);
        }
    }
}
