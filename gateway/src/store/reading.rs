//! Reading a letter's bytes and records back from disk.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::frame::{self, HEADER_LEN};
use super::journal::{SEGMENT_HEADER_LEN, io_error, read_segment_header};
use super::local::OpenSegment;
use super::table::Location;
use super::{LetterRecord, LocalStore, StoreError};
use crate::ids::LetterId;

impl LocalStore {
    /// A record as of the last checkpoint; an index that cannot be read is told, and its letter waits for a restart.
    pub(super) fn record_in_index(&self, id: LetterId) -> Option<LetterRecord> {
        let read = self.index().and_then(|index| index.record(&**self.keys.tenants(), id));
        read.unwrap_or_else(|error| {
            let detail = format!("letter {id}: its record cannot be read: {error}");
            crate::observe::emit(&crate::observe::Event::Gateway { state: "store-error", detail });
            None
        })
    }

    fn reader(&self, number: u64) -> Result<OpenSegment, StoreError> {
        if let Some(open) = self.readers.lock().get(&number) {
            return Ok(open.clone());
        }
        let failed = |e: io::Error| io_error("opening a journal segment", &e);
        let segment = self.disk.open(number).map_err(failed)?;
        let mut header = [0; SEGMENT_HEADER_LEN];
        segment.read_at(&mut header, 0).map_err(failed)?;
        let salt = read_segment_header(&header, number)
            .ok_or_else(|| StoreError::Damaged(format!("the header of segment {number}")))?;
        let open = Arc::new((salt, segment));
        self.readers.lock().insert(number, open.clone());
        Ok(open)
    }

    /// The body of a letter that lies there.
    pub(super) fn read(&self, id: LetterId, location: Location) -> Result<Bytes, StoreError> {
        let open = self.reader(u64::from(location.segment))?;
        let mut octets = vec![0; location.frame as usize];
        open.1.read_at(&mut octets, u64::from(location.offset)).map_err(|e| io_error("reading a letter", &e))?;
        let damaged = || StoreError::Damaged(format!("letter {id}: the frame does not pass its checksum"));
        let (header, payload) = frame::parse(&octets).ok_or_else(damaged)?;
        if payload.len() + HEADER_LEN != octets.len() {
            return Err(damaged());
        }
        let plain = self.keys.open(&open.0, &header, payload)?;
        let from = location.body_at as usize;
        let until = from + location.body as usize;
        if plain.len() < until {
            return Err(damaged());
        }
        Ok(Bytes::from(plain).slice(from..until))
    }
}
