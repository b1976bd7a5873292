//! Recovery at the start: the index at its checkpoint, then the journal's tail.
//!
//! A torn tail in the last segment is what a crash leaves and is cut off; octets that are no frame with frames
//! behind them are damage: copied to quarantine, reported, and the rest is read on. A frame that does not open
//! under its tenant's key is damage too.

use std::path::Path;
use std::sync::Arc;

use super::StoreError;
use super::disk::Disk;
use super::frame::{self, HEADER_LEN, Step};
use super::index::Index;
use super::journal::{FrameKeys, SEGMENT_HEADER_LEN, io_error, read_segment_header};
use super::record;
use super::table::{Effect, Position, Table};
use crate::clock::Timestamp;
use crate::ids::LetterId;

/// Octets of the journal that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DamagedRecord {
    /// The segment.
    pub segment: u64,
    /// The first octet.
    pub offset: u64,
    /// How many.
    pub octets: u64,
    /// The letter, if the frame still tells.
    pub letter: Option<LetterId>,
    /// What is wrong.
    pub problem: String,
}

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Letters in the queue.
    pub letters: usize,
    /// What could not be read.
    pub damaged: Vec<DamagedRecord>,
    /// Octets of a torn tail.
    pub torn: u64,
    /// The index did not open and was built again.
    pub rebuilt: bool,
    /// The number of the next segment.
    pub next_segment: u64,
}

/// Opens the index and brings the table up to the journal's end.
pub fn recover(
    disk: &dyn Disk,
    index_path: &Path,
    keys: &Arc<FrameKeys>,
    hot_budget: usize,
    now: Timestamp,
) -> Result<(Index, Table, Recovery), StoreError> {
    let mut recovery = Recovery::default();
    let opened = Index::open(index_path).and_then(|index| {
        let mut table = Table::new(hot_budget);
        let position = index.load(&**keys.tenants(), &mut table)?;
        Ok((index, table, position))
    });
    let (index, mut table, position) = if let Ok(opened) = opened {
        opened
    } else {
        recovery.rebuilt = true;
        Index::move_aside(index_path, now)?;
        (Index::open(index_path)?, Table::new(hot_budget), Position::default())
    };
    let segments = disk.list().map_err(|e| io_error("listing the journal", &e))?;
    for &number in &segments {
        if number < position.segment {
            let length = disk.open(number).and_then(|segment| segment.length());
            table.set_length(number, length.map_err(|e| io_error("reading the journal", &e))?);
            continue;
        }
        let start = if number == position.segment { position.offset } else { 0 };
        let last = segments.last() == Some(&number);
        replay(disk, number, start, last, keys, &mut table, &mut recovery)?;
    }
    recovery.next_segment = segments.last().map_or(1, |last| last + 1).max(position.segment + 1);
    recovery.letters = table.len();
    Ok((index, table, recovery))
}

fn replay(
    disk: &dyn Disk,
    number: u64,
    start: u64,
    last: bool,
    keys: &FrameKeys,
    table: &mut Table,
    recovery: &mut Recovery,
) -> Result<(), StoreError> {
    let failed = |e: std::io::Error| io_error("reading the journal", &e);
    let segment = disk.open(number).map_err(failed)?;
    let octets = read_all(&*segment)?;
    table.set_length(number, octets.len() as u64);
    let damage = |at: usize, bad: &[u8], letter, problem: String, recovery: &mut Recovery| {
        let record = DamagedRecord { segment: number, offset: at as u64, octets: bad.len() as u64, letter, problem };
        recovery.damaged.push(record);
        disk.quarantine(number, at as u64, bad).map_err(|e| io_error("quarantining a damaged record", &e))
    };
    let Some(salt) = read_segment_header(&octets, number) else {
        // A crash between making a segment and its first sync leaves an empty or torn header, and no frame.
        if octets.len() <= SEGMENT_HEADER_LEN || last {
            recovery.torn += octets.len() as u64;
        } else {
            damage(0, &octets, None, "the segment's header is damaged".into(), recovery)?;
        }
        return Ok(());
    };
    let start = (start as usize).clamp(SEGMENT_HEADER_LEN, octets.len());
    for step in frame::walk(&octets, start) {
        match step {
            Step::Frame(at, header, payload) => {
                let whole = &octets[at..at + HEADER_LEN + payload.len()];
                let plain = keys.open(&salt, &header, payload);
                let entries =
                    plain.and_then(|plain| record::decode(&plain).map_err(|e| StoreError::Damaged(e.to_string())));
                match entries {
                    Ok(entries) => {
                        let effects = entries.into_iter().map(|(entry, body)| Effect::of(entry, &body, None)).collect();
                        table.apply(Position { segment: number, offset: at as u64 }, whole.len() as u32, effects);
                    }
                    Err(problem) => damage(at, whole, Some(header.letter), problem.to_string(), recovery)?,
                }
            }
            Step::Damaged(at, bad) => damage(at, bad, None, "not a frame".into(), recovery)?,
            Step::Tail(at, tail) => {
                if last {
                    recovery.torn += tail.len() as u64;
                } else {
                    damage(at, tail, None, "not a frame, at the segment's end".into(), recovery)?;
                }
                segment.truncate(at as u64).and_then(|()| segment.sync()).map_err(failed)?;
                table.set_length(number, at as u64);
            }
        }
    }
    table.advance(Position { segment: number, offset: segment.length().map_err(failed)? });
    Ok(())
}

fn read_all(segment: &dyn super::disk::Segment) -> Result<Vec<u8>, StoreError> {
    let failed = |e: std::io::Error| io_error("reading the journal", &e);
    let length = segment.length().map_err(failed)?;
    let mut octets = vec![0; usize::try_from(length).map_err(|e| StoreError::Damaged(e.to_string()))?];
    segment.read_at(&mut octets, 0).map_err(failed)?;
    Ok(octets)
}

/// Verifies every frame of every segment: checksum, seal, content.
pub fn check(disk: &dyn Disk, keys: &FrameKeys, until: Position) -> Result<(u64, Vec<DamagedRecord>), StoreError> {
    let mut frames = 0;
    let mut found = Vec::new();
    for number in disk.list().map_err(|e| io_error("listing the journal", &e))? {
        let segment = disk.open(number).map_err(|e| io_error("reading the journal", &e))?;
        let mut octets = read_all(&*segment)?;
        if number == until.segment {
            // What the writer is writing right now is not yet promised to anybody.
            octets.truncate(until.offset as usize);
        }
        let damage = |offset: usize, octets: usize, letter, problem: String| DamagedRecord {
            segment: number,
            offset: offset as u64,
            octets: octets as u64,
            letter,
            problem,
        };
        let Some(salt) = read_segment_header(&octets, number) else {
            if octets.len() > SEGMENT_HEADER_LEN {
                found.push(damage(0, octets.len(), None, "the segment's header is damaged".into()));
            }
            continue;
        };
        for step in frame::walk(&octets, SEGMENT_HEADER_LEN) {
            match step {
                Step::Frame(at, header, payload) => {
                    frames += 1;
                    let plain = keys.open(&salt, &header, payload);
                    let read = plain.and_then(|p| record::decode(&p).map_err(|e| StoreError::Damaged(e.to_string())));
                    if let Err(problem) = read {
                        found.push(damage(at, HEADER_LEN + payload.len(), Some(header.letter), problem.to_string()));
                    }
                }
                Step::Damaged(at, bad) | Step::Tail(at, bad) => {
                    found.push(damage(at, bad.len(), None, "not a frame".into()));
                }
            }
        }
    }
    Ok((frames, found))
}
