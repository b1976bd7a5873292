//! gzip and tar, and what all archives share: unpacking inside bounds, names.
//!
//! An archive that unpacks to more than the limits allow is refused (a bomb is nobody's invoice). Members that hold no
//! number keep their bytes.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use flate2::write::DeflateEncoder;

use super::stage::{Place, Stage};
use super::{Refusal, kind};
use crate::message::{ContentType, EditSet, RawOffset, wipe};

/// A stream below this size is never called a bomb for its ratio: short repetitive documents pack very well.
const RATIO_FREE: usize = 8 << 20;

/// The form of a compressed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// Bare deflate (RFC 1951).
    Deflate,
    /// With the zlib frame (RFC 1950).
    Zlib,
}

/// Unpacks a stream inside the stage's bounds, and how many packed bytes it took; `None` if it is damaged from the
/// start. What a damaged stream yields before the damage is given.
pub fn inflate(stage: &mut Stage<'_>, data: &[u8], form: Packed) -> Result<Option<(Vec<u8>, usize)>, Refusal> {
    let mut out = Vec::new();
    let room = (stage.limits.expansion - stage.expanded.min(stage.limits.expansion)) as u64 + 1;
    let by_ratio = (data.len().saturating_mul(stage.limits.ratio).max(RATIO_FREE)) as u64 + 1;
    let limit = room.min(by_ratio);
    let (result, used) = match form {
        Packed::Deflate => {
            let mut decoder = DeflateDecoder::new(data);
            let result = decoder.by_ref().take(limit).read_to_end(&mut out);
            (result, decoder.total_in())
        }
        Packed::Zlib => {
            let mut decoder = ZlibDecoder::new(data);
            let result = decoder.by_ref().take(limit).read_to_end(&mut out);
            (result, decoder.total_in())
        }
    };
    if out.len() as u64 >= limit {
        return Err(Refusal::Limit(format!("a compressed file unpacks to more than {} bytes", limit - 1)));
    }
    stage.expand(out.len())?;
    Ok(if result.is_err() && out.is_empty() { None } else { Some((out, used as usize)) })
}

/// Bare deflate of `data`.
pub fn deflate(data: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    // Writing into memory cannot fail; an encoder that fails all the same yields an empty stream, which no reader takes.
    std::io::Write::write_all(&mut encoder, data).ok();
    encoder.finish().unwrap_or_default()
}

/// Redacts a gzip file; the bytes that follow the last member stay as they are.
pub fn gzip(stage: &mut Stage<'_>, content: &[u8], name: &str, place: &Place) -> Result<EditSet, Refusal> {
    let mut edits = EditSet::new();
    let mut at = 0;
    let inner_name = name.strip_suffix(".gz").or(name.strip_suffix(".tgz").map(|_| "x.tar")).unwrap_or("");
    while content[at..].starts_with(&[0x1f, 0x8b, 8]) {
        let Some(header) = gzip_header(&content[at..]) else { break };
        let start = at + header;
        if let Some(name) = gzip_name(&content[at..start])
            && let Some(new) = stage.file_name(&content[at + name.start..at + name.end], place)?
            && content[at + 3] & 2 == 0
        {
            edits.replace(RawOffset(at + name.start)..RawOffset(at + name.end), new);
        }
        let Some((data, used)) = inflate(stage, &content[start..], Packed::Deflate)? else {
            stage.unscannable(place, "damaged gzip file")?;
            break;
        };
        let found = stage.member(&data, inner_name, &place.inside("gzip"))?;
        if !found.is_empty() {
            let new = found.apply(&data);
            let mut packed = deflate(&new, 6);
            packed.extend_from_slice(&crc32fast::hash(&new).to_le_bytes());
            packed.extend_from_slice(&(new.len() as u32).to_le_bytes());
            edits.replace(RawOffset(start)..RawOffset((start + used + 8).min(content.len())), packed);
            wipe(new);
            wipe(data);
        }
        at = (start + used + 8).min(content.len());
    }
    Ok(edits)
}

/// Where a gzip member's header holds the file's name, without the zero byte behind it.
fn gzip_name(header: &[u8]) -> Option<std::ops::Range<usize>> {
    let mut start = 10;
    if header[3] & 4 != 0 {
        start += 2 + usize::from(u16::from_le_bytes([*header.get(10)?, *header.get(11)?]));
    }
    let len = memchr::memchr(0, header.get(start..)?)?;
    (header[3] & 8 != 0).then_some(start..start + len)
}

/// Length of a gzip member's header (RFC 1952 §2.3).
fn gzip_header(data: &[u8]) -> Option<usize> {
    let flags = *data.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*data.get(10)?, *data.get(11)?]));
    }
    for bit in [8, 16] {
        if flags & bit != 0 {
            at += memchr::memchr(0, data.get(at..)?)? + 1;
        }
    }
    at += if flags & 2 != 0 { 2 } else { 0 };
    (at < data.len()).then_some(at)
}

/// Redacts a tar file (POSIX ustar; pax and GNU headers are read as members, which they are).
pub fn tar(stage: &mut Stage<'_>, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
    const BLOCK: usize = 512;
    let mut edits = EditSet::new();
    let mut at = 0;
    while let Some(header) = content.get(at..at + BLOCK) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let octal = |range: std::ops::Range<usize>| {
            let text = std::str::from_utf8(&header[range]).ok()?;
            usize::from_str_radix(text.trim_matches(|c: char| c == '\0' || c == ' '), 8).ok()
        };
        let Some(size) = octal(124..136) else {
            stage.unscannable(place, "damaged tar file")?;
            break;
        };
        let start = at + BLOCK;
        let end = start.saturating_add(size).min(content.len());
        let padded = start.saturating_add(size.div_ceil(BLOCK) * BLOCK).min(content.len());
        let name_len = header[..100].iter().position(|byte| *byte == 0).unwrap_or(100);
        let name = String::from_utf8_lossy(&header[..name_len]).into_owned();
        let mut new_header = header.to_vec();
        // The name, the name that a link points to, and the folder before a long name.
        for field in [0..100, 157..257, 345..500] {
            let len = header[field.clone()].iter().position(|byte| *byte == 0).unwrap_or(field.len());
            if let Some(changed) = stage.file_name(&header[field.start..field.start + len], place)? {
                new_header[field.start..field.start + len].copy_from_slice(&changed);
            }
        }
        let found = stage.member(&content[start..end], &name, &place.inside(&name))?;
        if found.keeps_length() {
            edits.absorb(found, RawOffset(start));
        } else {
            let mut new = found.apply(&content[start..end]);
            new_header[124..136].copy_from_slice(format!("{:011o}\0", new.len()).as_bytes());
            new.resize(new.len().div_ceil(BLOCK) * BLOCK, 0);
            edits.replace(RawOffset(start)..RawOffset(padded), new);
        }
        if new_header != header {
            new_header[148..156].fill(b' ');
            let sum: u32 = new_header.iter().map(|byte| u32::from(*byte)).sum();
            new_header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            edits.replace(RawOffset(at)..RawOffset(start), new_header);
        }
        at = padded.max(start);
    }
    Ok(edits)
}

impl Stage<'_> {
    /// A file inside an archive.
    pub fn member(&mut self, content: &[u8], name: &str, place: &Place) -> Result<EditSet, Refusal> {
        if place.archives > self.limits.archive_depth {
            return Err(Refusal::Limit(format!("archives nested more than {} deep", self.limits.archive_depth)));
        }
        let declared = ContentType { media: String::new(), ..ContentType::plain() };
        match kind::of("", name, content) {
            kind::Kind::Message => self.nested_message(content, place),
            // A program's own files in an archive are the archive's business; what is text in them is still read.
            kind::Kind::Unknown => self.scattered(content, place),
            found => self.file(content, None, found, &declared, name, place),
        }
    }
}
