//! Recovery at the start: the index at its checkpoint, then the journal's tail.
//!
//! A torn tail in the last segment is what a crash leaves and is cut off; octets that are no frame with frames
//! behind them are damage: copied to quarantine, reported, and the rest is read on. A frame that does not open
//! under its tenant's key is damage too.

use super::StoreError;
use super::disk::Disk;
use super::frame::{self, HEADER_LEN, Step};
use super::index::Index;
use super::journal::{FrameKeys, SEGMENT_HEADER_LEN, io_error, read_segment_header};
use super::record::{self, Entry};
use super::shelf::ShelfPlace;
use super::table::{Effect, Look, Position, Table};
use crate::clock::Timestamp;
use crate::ids::LetterId;

/// So many letters may have changed since the last checkpoint before one is written while the journal is read.
const CHANGED_AT_ONCE: usize = 10_000;

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

/// Cuts the torn tail off the last segment; how long it was. This comes before the first new segment: a tail in any
/// other than the last segment is damage.
pub fn cut_torn_tail(disk: &dyn Disk, last: u64) -> Result<u64, StoreError> {
    let failed = |e: std::io::Error| io_error("reading the journal", &e);
    let segment = disk.open(last).map_err(failed)?;
    let octets = read_all(&*segment)?;
    if read_segment_header(&octets, last).is_none() {
        return Ok(0);
    }
    let Some(Step::Tail(at, tail)) = frame::walk(&octets, SEGMENT_HEADER_LEN).last() else { return Ok(0) };
    segment.truncate(at as u64).and_then(|()| segment.sync()).map_err(failed)?;
    Ok(tail.len() as u64)
}

/// Opens the index and brings a table up to the journal's end; reads segments before `next_segment` only, since
/// those from there on are this run's own. `go_on` is asked now and then whether anybody still waits for this.
pub fn recover(
    disk: &dyn Disk,
    place: &dyn ShelfPlace,
    keys: &FrameKeys,
    next_segment: u64,
    now: Timestamp,
    go_on: &dyn Fn() -> bool,
) -> Result<(Index, Table, Recovery), StoreError> {
    let mut recovery = Recovery { next_segment, ..Recovery::default() };
    let opened = place.open().and_then(|shelf| {
        let (index, mut table) = (Index::new(shelf), Table::new(0));
        let position = index.load(&**keys.tenants(), &mut table)?;
        if position.segment >= next_segment {
            // An index of another journal would hide what this one says.
            return Err(StoreError::Damaged("the index is ahead of the journal".into()));
        }
        Ok((index, table, position))
    });
    let (index, mut table, position) = if let Ok(opened) = opened {
        opened
    } else {
        recovery.rebuilt = true;
        place.move_aside(now)?;
        (Index::new(place.open()?), Table::new(0), Position::default())
    };
    let segments = disk.list().map_err(|e| io_error("listing the journal", &e))?;
    let segments: Vec<u64> = segments.into_iter().filter(|number| *number < next_segment).collect();
    let mut reading = Reading { disk, keys, index: &index, table: &mut table, recovery: &mut recovery };
    for &number in &segments {
        if !go_on() {
            return Err(StoreError::Closed("stopped while the queue was read".into()));
        }
        if number < position.segment {
            let length = disk.open(number).and_then(|segment| segment.length());
            reading.table.set_length(number, length.map_err(|e| io_error("reading the journal", &e))?);
            continue;
        }
        let start = if number == position.segment { position.offset } else { 0 };
        reading.replay(number, start, segments.last() == Some(&number))?;
        if reading.table.changed() > CHANGED_AT_ONCE {
            // Without an index the journal is all new to it: written piece by piece, its records stay out of memory.
            let changes = reading.table.take_changes();
            reading.index.write(&**keys.tenants(), &changes, &[])?;
            reading.table.let_go(changes.upserts.iter().map(|(record, _)| record.id), |_| false);
        }
    }
    recovery.letters = table.len();
    Ok((index, table, recovery))
}

struct Reading<'r> {
    disk: &'r dyn Disk,
    keys: &'r FrameKeys,
    index: &'r Index,
    table: &'r mut Table,
    recovery: &'r mut Recovery,
}

impl Reading<'_> {
    fn damage(
        &mut self,
        number: u64,
        at: usize,
        bad: &[u8],
        letter: Option<LetterId>,
        problem: String,
    ) -> Result<(), StoreError> {
        let record = DamagedRecord { segment: number, offset: at as u64, octets: bad.len() as u64, letter, problem };
        self.recovery.damaged.push(record);
        self.disk.quarantine(number, at as u64, bad).map_err(|e| io_error("quarantining a damaged record", &e))
    }

    /// The effects of a frame; a letter of the index that settles gets its record back into memory first.
    fn apply(
        &mut self,
        at: Position,
        frame: u32,
        entries: Vec<(Entry, std::ops::Range<usize>)>,
    ) -> Result<(), StoreError> {
        for (entry, _) in &entries {
            if let Entry::Settle { id, .. } = entry
                && matches!(self.table.record(*id), Look::InIndex)
                && let Some(record) = self.index.record(&**self.keys.tenants(), *id)?
            {
                self.table.reload(record);
            }
        }
        let effects = entries.into_iter().map(|(entry, body)| Effect::of(entry, &body, None)).collect();
        self.table.apply(at, frame, effects);
        Ok(())
    }

    fn replay(&mut self, number: u64, start: u64, last: bool) -> Result<(), StoreError> {
        let failed = |e: std::io::Error| io_error("reading the journal", &e);
        let segment = self.disk.open(number).map_err(failed)?;
        let octets = read_all(&*segment)?;
        self.table.set_length(number, octets.len() as u64);
        let Some(salt) = read_segment_header(&octets, number) else {
            // A crash between making a segment and its first sync leaves an empty or torn header, and no frame.
            if octets.len() <= SEGMENT_HEADER_LEN || last {
                self.recovery.torn += octets.len() as u64;
            } else {
                self.damage(number, 0, &octets, None, "the segment's header is damaged".into())?;
            }
            return Ok(());
        };
        let start = (start as usize).clamp(SEGMENT_HEADER_LEN, octets.len());
        for step in frame::walk(&octets, start) {
            match step {
                Step::Frame(at, header, payload) => {
                    let whole = &octets[at..at + HEADER_LEN + payload.len()];
                    let plain = self.keys.open(&salt, &header, payload);
                    match plain.and_then(|plain| record::decode(&plain).map_err(|e| StoreError::Damaged(e.to_string())))
                    {
                        Ok(entries) => {
                            let at = Position { segment: number, offset: at as u64 };
                            self.apply(at, whole.len() as u32, entries)?;
                        }
                        Err(problem) => self.damage(number, at, whole, Some(header.letter), problem.to_string())?,
                    }
                }
                Step::Damaged(at, bad) => self.damage(number, at, bad, None, "not a frame".into())?,
                Step::Tail(at, tail) => {
                    if last {
                        self.recovery.torn += tail.len() as u64;
                    } else {
                        self.damage(number, at, tail, None, "not a frame, at the segment's end".into())?;
                    }
                    segment.truncate(at as u64).and_then(|()| segment.sync()).map_err(failed)?;
                    self.table.set_length(number, at as u64);
                }
            }
        }
        // What a killed process wrote is read here whether it was synced or not; the index will call it read.
        if last {
            segment.sync().map_err(failed)?;
        }
        self.table.advance(Position { segment: number, offset: segment.length().map_err(failed)? });
        Ok(())
    }
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
