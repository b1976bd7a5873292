//! The filters of streams (ISO 32000-1 §7.4), and packing again into exactly the bytes that a stream had.
//!
//! What does not fit is packed for another place: a longer stream would move every offset behind it.

use flate2::{Compress, Compression, FlushCompress};

/// Streams up to this size are packed by the slow and tight way if zlib's result does not fit.
const TIGHT: usize = 1 << 20;

/// A filter chain that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Flate,
    Ascii85,
    AsciiHex,
}

pub(super) fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = data
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| char::from(*byte).to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

pub(super) fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut group: Vec<u32> = Vec::new();
    let mut flush = |group: &mut Vec<u32>| {
        let len = group.len();
        if len < 2 {
            return;
        }
        group.resize(5, 84);
        let value = group.iter().fold(0u32, |acc, digit| acc.wrapping_mul(85).wrapping_add(*digit));
        out.extend_from_slice(&value.to_be_bytes()[..len - 1]);
        group.clear();
    };
    for byte in data {
        match byte {
            b'~' => break,
            b'z' if group.is_empty() => {
                group.resize(5, 0);
                flush(&mut group);
            }
            b'!'..=b'u' => {
                group.push(u32::from(byte - b'!'));
                if group.len() == 5 {
                    flush(&mut group);
                }
            }
            _ => {}
        }
    }
    flush(&mut group);
    out
}

fn to_ascii85(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 4 * 5 + 7);
    for chunk in data.chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        let mut value = u32::from_be_bytes(word);
        if value == 0 && chunk.len() == 4 {
            out.push(b'z');
            continue;
        }
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = b'!' + (value % 85) as u8;
            value /= 85;
        }
        out.extend_from_slice(&digits[..=chunk.len()]);
    }
    out
}

/// Data packed by a filter chain into exactly `room` bytes, if it can be done.
pub(super) fn pack(data: &[u8], filters: &[Filter], room: usize) -> Option<Vec<u8>> {
    match filters {
        [] => (data.len() == room).then(|| data.to_vec()),
        [Filter::Flate] => zlib_of_length(data, room),
        [outer, rest @ ..] => {
            // What the text form adds is not known beforehand: from tight to loose, filled with white space.
            let inner = match rest {
                [Filter::Flate] => {
                    // Four bytes become five characters, or two.
                    let most = if *outer == Filter::Ascii85 { (room - 2.min(room)) / 5 * 4 } else { room / 2 };
                    let plain = zlib(data, false);
                    if plain.len() <= most { plain } else { zlib_of_length(data, most)? }
                }
                [] => data.to_vec(),
                _ => return None,
            };
            let (mut out, end): (Vec<u8>, &[u8]) = match outer {
                Filter::Ascii85 => (to_ascii85(&inner), b"~>"),
                Filter::AsciiHex => (inner.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(), b">"),
                Filter::Flate => return None,
            };
            if out.len() + end.len() > room {
                return None;
            }
            out.resize(room - end.len(), b'\n');
            out.extend_from_slice(end);
            Some(out)
        }
    }
}

/// Data packed by a filter chain into somewhat more than `room` bytes.
pub(super) fn pack_larger(data: &[u8], filters: &[Filter], room: usize) -> Option<Vec<u8>> {
    if filters.is_empty() {
        return Some(data.to_vec());
    }
    let most = data.len() * 3 + 256;
    [room + 16, room + 64, room + 512, room + most].into_iter().find_map(|room| pack(data, filters, room))
}

/// A zlib stream; with `open` its last block is empty and stored, so that more empty ones can be put before it.
fn zlib(data: &[u8], open: bool) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), true);
    let mut out = Vec::with_capacity(data.len() + data.len() / 100 + 64);
    let flush = if open { FlushCompress::Sync } else { FlushCompress::Finish };
    loop {
        let consumed = compress.total_in() as usize;
        let before = out.len();
        out.reserve(1024);
        if compress.compress_vec(&data[consumed..], &mut out, flush).is_err() {
            return out;
        }
        if compress.total_in() as usize == data.len() && (out.len() < out.capacity() || out.len() == before) {
            break;
        }
    }
    if open {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        out.extend_from_slice(&adler32(data).to_be_bytes());
    }
    out
}

fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for chunk in data.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}

/// A zlib stream of exactly `room` bytes: filled with empty blocks, which every reader takes, or behind its end.
fn zlib_of_length(data: &[u8], room: usize) -> Option<Vec<u8>> {
    let open = zlib(data, true);
    if open.len() <= room {
        let fill = room - open.len();
        // Five bytes are an empty stored block, six a stored one after an empty block of fixed codes (RFC 1951 §3.2).
        if let Some(sixes) = (0..5).find(|sixes| sixes * 6 <= fill && (fill - sixes * 6).is_multiple_of(5)) {
            let cut = open.len() - 9;
            let mut out = open[..cut].to_vec();
            for _ in 0..sixes {
                out.extend_from_slice(&[0x02, 0x00, 0x00, 0x00, 0xff, 0xff]);
            }
            for _ in 0..(fill - sixes * 6) / 5 {
                out.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
            }
            out.extend_from_slice(&open[cut..]);
            return Some(out);
        }
    }
    let mut closed = zlib(data, false);
    if closed.len() > room && room > 0 && data.len() <= TIGHT {
        closed.clear();
        let options = zopfli::Options {
            iteration_count: std::num::NonZeroU64::new(5).unwrap_or(std::num::NonZeroU64::MIN),
            ..zopfli::Options::default()
        };
        zopfli::compress(options, zopfli::Format::Zlib, data, &mut closed).ok()?;
    }
    if closed.len() > room {
        return None;
    }
    closed.resize(room, b'\n');
    Some(closed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    proptest::proptest! {
        #[test]
        fn a_stream_is_filled_to_any_length(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300), more in 0usize..60) {
            let room = zlib(&data, false).len() + more;
            let packed = zlib_of_length(&data, room).unwrap();
            proptest::prop_assert_eq!(packed.len(), room);
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
            proptest::prop_assert_eq!(&out, &data);
            proptest::prop_assert_eq!(ascii85(&to_ascii85(&data)), data);
        }
    }
}
