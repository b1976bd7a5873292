//! ZIP archives, and the Office and OpenDocument files built on them (APPNOTE.TXT 6.3).
//!
//! Only members that hold a number are packed again; every other byte of the archive is copied, extra fields and
//! gaps included. Encrypted members and methods other than stored and deflate cannot be read and are reported.

use super::archive::{Packed, deflate, inflate};
use super::stage::{Place, Stage};
use super::{Refusal, kind::Kind, office};
use crate::message::{EditSet, RawOffset, wipe};

/// One entry of the central directory.
struct Entry {
    /// Where it stands in the directory.
    central: usize,
    name: Vec<u8>,
    flags: u16,
    method: u16,
    packed: usize,
    /// Where its local header begins.
    local: usize,
    /// Where its comment stands.
    comment: std::ops::Range<usize>,
}

struct Directory {
    start: usize,
    end_record: usize,
    entries: Vec<Entry>,
    /// Bytes before the archive proper (a self-extractor).
    base: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

fn directory(content: &[u8], most: usize) -> Option<Directory> {
    let from = content.len().saturating_sub(66_000);
    let end_record = from + memchr::memmem::rfind(&content[from..], b"PK\x05\x06")?;
    let (size, offset) = (u32_at(content, end_record + 12)?, u32_at(content, end_record + 16)?);
    let start = end_record.checked_sub(size).filter(|_| size != 0xffff_ffff)?;
    let base = start.checked_sub(offset)?;
    let mut entries = Vec::new();
    let mut at = start;
    while content.get(at..at + 4) == Some(b"PK\x01\x02") && entries.len() < most {
        let (name, extra, comment) = (u16_at(content, at + 28)?, u16_at(content, at + 30)?, u16_at(content, at + 32)?);
        let name_end = at + 46 + usize::from(name);
        let comment_start = (name_end + usize::from(extra)).min(content.len());
        let comment = comment_start..(comment_start + usize::from(comment)).min(content.len());
        let next = comment.end;
        entries.push(Entry {
            central: at,
            name: content.get(at + 46..name_end)?.to_vec(),
            flags: u16_at(content, at + 8)?,
            method: u16_at(content, at + 10)?,
            packed: u32_at(content, at + 20)?,
            local: base.checked_add(u32_at(content, at + 42)?)?,
            comment,
        });
        at = next;
    }
    Some(Directory { start, end_record, entries, base })
}

/// The packed bytes of an entry.
fn data(content: &[u8], entry: &Entry) -> Option<std::ops::Range<usize>> {
    if content.get(entry.local..entry.local + 4)? != b"PK\x03\x04" {
        return None;
    }
    let (name, extra) = (u16_at(content, entry.local + 26)?, u16_at(content, entry.local + 28)?);
    let start = entry.local + 30 + usize::from(name) + usize::from(extra);
    content.get(start..start.checked_add(entry.packed)?)?;
    Some(start..start + entry.packed)
}

/// What becomes of a changed entry.
struct Change {
    index: usize,
    data: std::ops::Range<usize>,
    /// Name in both headers, if it changes.
    name: Option<Vec<u8>>,
    /// New packed bytes, their check sum and unpacked size.
    new: Option<(Vec<u8>, u32, usize)>,
}

/// Redacts a ZIP archive.
pub fn redact(stage: &mut Stage<'_>, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
    let Some(directory) = directory(content, stage.limits.mime_parts * 10) else {
        // What is stored in it can still be read.
        return stage.opaque(content, "damaged archive", place);
    };
    let mut edits = comments(stage, content, &directory, place)?;
    let original = content;
    let changed = (!edits.is_empty()).then(|| edits.apply(original));
    let content = changed.as_deref().unwrap_or(original);
    let names: Vec<&[u8]> = directory.entries.iter().map(|entry| entry.name.as_slice()).collect();
    let package = office::package(&names);
    let shared = directory.entries.iter().find(|entry| entry.name == b"xl/sharedStrings.xml" && entry.method == 8);
    let strings = match shared.and_then(|entry| data(content, entry)) {
        Some(range) => inflate(stage, &content[range], Packed::Deflate)?.map(|(strings, _)| strings),
        None => None,
    };
    let mut changes = Vec::new();
    for (index, entry) in directory.entries.iter().enumerate() {
        let kind = (package, strings.as_deref());
        if let Some(change) = member(stage, content, entry, index, kind, place)? {
            changes.push(change);
        }
    }
    if !changes.is_empty() {
        match rebuild(content, &directory, &changes) {
            Some(new) => {
                edits = EditSet::new();
                edits.replace(RawOffset(0)..RawOffset(content.len()), new);
            }
            None => {
                return Err(Refusal::Unscannable {
                    part: place.part.clone(),
                    reason: "archive with overlapping members".into(),
                });
            }
        }
    }
    for bytes in changes.into_iter().filter_map(|change| change.new.map(|(bytes, ..)| bytes)).chain(strings) {
        wipe(bytes);
    }
    Ok(edits)
}

/// The edits of the comments of the archive and its members.
fn comments(stage: &mut Stage<'_>, content: &[u8], directory: &Directory, place: &Place) -> Result<EditSet, Refusal> {
    let mut edits = EditSet::new();
    let place = place.inside("comment");
    let own = (directory.end_record + 22).min(content.len())..content.len();
    for range in directory.entries.iter().map(|entry| entry.comment.clone()).chain(std::iter::once(own)) {
        if range.len() >= 12 {
            let found = stage.text_content(&content[range.clone()], None, Kind::Rtf, &place)?;
            edits.absorb(found, RawOffset(range.start));
        }
    }
    Ok(edits)
}

fn member(
    stage: &mut Stage<'_>,
    content: &[u8],
    entry: &Entry,
    index: usize,
    (package, strings): (office::Package, Option<&[u8]>),
    place: &Place,
) -> Result<Option<Change>, Refusal> {
    let name = String::from_utf8_lossy(&entry.name).into_owned();
    let inside = place.inside(&name);
    let Some(range) = data(content, entry) else {
        stage.unscannable(&inside, "damaged archive member")?;
        return Ok(None);
    };
    let new_name = if package == office::Package::None { stage.file_name(&entry.name, place)? } else { None };
    let change = |new: Option<(Vec<u8>, u32, usize)>| {
        (new_name.is_some() || new.is_some()).then(|| Change {
            index,
            data: range.clone(),
            name: new_name.clone(),
            new,
        })
    };
    if entry.flags & 1 != 0 {
        stage.unscannable(&inside, "encrypted archive member")?;
        return Ok(change(None));
    }
    let unpacked = match entry.method {
        0 => {
            stage.expand(range.len())?;
            content[range.clone()].to_vec()
        }
        8 => {
            if let Some((data, _)) = inflate(stage, &content[range.clone()], Packed::Deflate)? {
                data
            } else {
                stage.unscannable(&inside, "damaged archive member")?;
                return Ok(change(None));
            }
        }
        _ => {
            stage.unscannable(&inside, "archive member with an unknown compression")?;
            return Ok(change(None));
        }
    };
    let found = if package != office::Package::None && office::is_markup(&name) {
        office::redact(stage, &unpacked, &name, package, strings, &inside)?
    } else {
        stage.member(&unpacked, &name, &inside)?
    };
    let new = (!found.is_empty()).then(|| {
        let new = found.apply(&unpacked);
        let sum = crc32fast::hash(&new);
        let packed = if entry.method == 8 { deflate(&new, 6) } else { new.clone() };
        let size = new.len();
        wipe(new);
        (packed, sum, size)
    });
    if new.is_some() {
        wipe(unpacked);
    }
    Ok(change(new))
}

/// The archive with its changes made; `None` where members overlap, so that one cannot be changed alone.
fn rebuild(content: &[u8], directory: &Directory, changes: &[Change]) -> Option<Vec<u8>> {
    let mut order: Vec<&Change> = changes.iter().collect();
    order.sort_by_key(|change| directory.entries[change.index].local);
    let mut out = Vec::with_capacity(content.len());
    let mut central = content[directory.start..directory.end_record].to_vec();
    // Where each later byte moves: (old offset, difference from there on).
    let mut moved: Vec<(usize, i64)> = vec![(0, 0)];
    let mut at = 0;
    for change in order {
        let entry = &directory.entries[change.index];
        let mut header = content.get(entry.local..change.data.start)?.to_vec();
        if entry.local < at {
            return None;
        }
        let place = entry.central - directory.start;
        if let Some(name) = &change.name {
            header.get_mut(30..30 + name.len())?.copy_from_slice(name);
            central.get_mut(place + 46..place + 46 + name.len())?.copy_from_slice(name);
        }
        out.extend_from_slice(&content[at..entry.local]);
        at = change.data.end;
        let Some((packed, sum, size)) = &change.new else {
            out.extend_from_slice(&header);
            out.extend_from_slice(&content[change.data.clone()]);
            continue;
        };
        let numbers = [sum.to_le_bytes(), (packed.len() as u32).to_le_bytes(), (*size as u32).to_le_bytes()].concat();
        // Sizes stand in the header now; a data descriptor behind the data would only repeat the old ones.
        let flags = entry.flags & !8;
        header[6..8].copy_from_slice(&flags.to_le_bytes());
        header[14..26].copy_from_slice(&numbers);
        central[place + 8..place + 10].copy_from_slice(&flags.to_le_bytes());
        central[place + 16..place + 28].copy_from_slice(&numbers);
        if entry.flags & 8 != 0 {
            at += descriptor(content, at);
        }
        out.extend_from_slice(&header);
        out.extend_from_slice(packed);
        moved.push((at, out.len() as i64 - at as i64));
    }
    out.extend_from_slice(content.get(at..directory.start)?);
    let start = out.len();
    for entry in &directory.entries {
        let (_, by) = moved[moved.partition_point(|(from, _)| *from <= entry.local) - 1];
        let offset = (entry.local - directory.base) as i64 + by;
        let place = entry.central - directory.start;
        central[place + 42..place + 46].copy_from_slice(&u32::try_from(offset).ok()?.to_le_bytes());
    }
    out.extend_from_slice(&central);
    let mut end = content[directory.end_record..].to_vec();
    end.get_mut(16..20)?.copy_from_slice(&u32::try_from(start - directory.base).ok()?.to_le_bytes());
    out.extend_from_slice(&end);
    Some(out)
}

/// Length of the data descriptor at `at`: with or without its signature.
fn descriptor(content: &[u8], at: usize) -> usize {
    if content.get(at..at + 4) == Some(b"PK\x07\x08") { 16.min(content.len() - at) } else { 12.min(content.len() - at) }
}

/// Names and contents of all members, for tests.
#[cfg(test)]
pub fn members(stage: &mut Stage<'_>, content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let directory = directory(content, 1000).unwrap();
    let read = |entry: &Entry| {
        let packed = &content[data(content, entry).unwrap()];
        let (data, _) = inflate(stage, packed, Packed::Deflate).unwrap().unwrap();
        assert_eq!(crc32fast::hash(&data) as usize, u32_at(content, entry.central + 16).unwrap());
        (String::from_utf8(entry.name.clone()).unwrap(), data)
    };
    directory.entries.iter().map(read).collect()
}
