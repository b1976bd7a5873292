//! The snapshot file: the whole control store once more, from which the database is rebuilt.
//!
//! A magic number, then frames: length, checksum, payload. The first payload is the control key wrapped under
//! the key-encryption key, the second all records at one generation, each later one the change of the next
//! generation; all but the first are sealed under the control key with their generation bound in. A frame that
//! was not wholly written ends the file as far as reading goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waxseal_keys::sealing::{DataKey, KeyEncryptionKey, SealingError};

use super::disk::Write;

const MAGIC: &[u8; 8] = b"WAXCTRL1";
const FRAME_HEADER: usize = 4 + 4;
pub(super) const CONTROL_KEY_CONTEXT: &[u8] = b"waxseal control key v1";

/// What a snapshot file holds.
pub(super) struct Contents {
    pub(super) key: DataKey,
    pub(super) generation: u64,
    pub(super) records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Octets at the end that are no frame: a torn write, or damage.
    pub(super) torn: u64,
    /// Octets of the frames of single changes.
    pub(super) tail: u64,
}

/// Why a snapshot file gives nothing.
pub(super) enum Unreadable {
    /// It is wrapped under another key-encryption key.
    OtherKek(SealingError),
    /// It is not there, or its first frames do not open.
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct Payload {
    generation: u64,
    writes: Vec<Write>,
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME_HEADER + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

fn context(generation: Option<u64>) -> Vec<u8> {
    let mut context = b"waxseal control snapshot v1\0".to_vec();
    // The frame of all records comes first whatever its generation is; a change comes right after the one before.
    context.extend_from_slice(&generation.unwrap_or(u64::MAX).to_be_bytes());
    context
}

fn sealed_frame(
    key: &DataKey,
    bound: Option<u64>,
    generation: u64,
    writes: Vec<Write>,
) -> Result<Vec<u8>, SealingError> {
    // postcard fails only on types without a known length; ours are vectors.
    let plain = postcard::to_stdvec(&Payload { generation, writes }).map_err(|_| SealingError::Format)?;
    Ok(frame(&key.seal(&context(bound), &plain)?))
}

/// The frame of one change, to be appended.
pub(super) fn change_frame(key: &DataKey, generation: u64, writes: Vec<Write>) -> Result<Vec<u8>, SealingError> {
    sealed_frame(key, Some(generation), generation, writes)
}

/// A whole file.
pub(super) fn whole(
    wrapped_key: &[u8],
    key: &DataKey,
    generation: u64,
    records: Vec<Write>,
) -> Result<Vec<u8>, SealingError> {
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&frame(wrapped_key));
    file.extend_from_slice(&sealed_frame(key, None, generation, records)?);
    Ok(file)
}

fn next_frame(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = octets.split_at_checked(FRAME_HEADER)?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (payload, rest) = rest.split_at_checked(number(0) as usize)?;
    (crc32fast::hash(payload) == number(4)).then_some((payload, rest))
}

/// Reads a file as far as it is whole.
pub(super) fn read(octets: &[u8], kek: &KeyEncryptionKey) -> Result<Contents, Unreadable> {
    let damaged = |what: &str| Unreadable::Damaged(what.to_owned());
    let rest = octets.strip_prefix(MAGIC).ok_or_else(|| damaged("it is not a snapshot"))?;
    let (wrapped, rest) = next_frame(rest).ok_or_else(|| damaged("its key is damaged"))?;
    let key = kek.unwrap(wrapped, CONTROL_KEY_CONTEXT).map_err(|error| match error {
        other @ SealingError::OtherKey { .. } => Unreadable::OtherKek(other),
        error => Unreadable::Damaged(format!("its key does not open: {error}")),
    })?;
    let (payload, mut rest) = next_frame(rest).ok_or_else(|| damaged("its records are damaged"))?;
    let base = open(&key, None, payload).ok_or_else(|| damaged("its records do not open"))?;
    let mut contents =
        Contents { key, generation: base.generation, records: BTreeMap::new(), torn: 0, tail: rest.len() as u64 };
    replay(&mut contents.records, base.writes);
    while let Some((payload, after)) = next_frame(rest) {
        let Some(change) = open(&contents.key, Some(contents.generation + 1), payload) else { break };
        contents.generation = change.generation;
        replay(&mut contents.records, change.writes);
        rest = after;
    }
    contents.torn = rest.len() as u64;
    contents.tail -= contents.torn;
    Ok(contents)
}

fn open(key: &DataKey, bound: Option<u64>, payload: &[u8]) -> Option<Payload> {
    let plain = key.open(&context(bound), payload).ok()?;
    let payload: Payload = postcard::from_bytes(&plain).ok()?;
    bound.is_none_or(|generation| generation == payload.generation).then_some(payload)
}

fn replay(records: &mut BTreeMap<Vec<u8>, Vec<u8>>, writes: Vec<Write>) {
    for (key, value) in writes {
        match value {
            Some(value) => records.insert(key, value),
            None => records.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> (KeyEncryptionKey, Vec<u8>) {
        let kek = KeyEncryptionKey::parse(&"11".repeat(32)).unwrap();
        let key = DataKey::generate().unwrap();
        let wrapped = kek.wrap(&key, CONTROL_KEY_CONTEXT).unwrap();
        let mut file = whole(&wrapped, &key, 7, vec![(b"a".to_vec(), Some(b"1".to_vec()))]).unwrap();
        file.extend(change_frame(&key, 8, vec![(b"b".to_vec(), Some(b"2".to_vec()))]).unwrap());
        file.extend(change_frame(&key, 9, vec![(b"a".to_vec(), None)]).unwrap());
        (kek, file)
    }

    #[test]
    fn a_file_cut_anywhere_gives_a_generation_that_was() {
        let (kek, file) = sample();
        for length in 0..=file.len() {
            match read(&file[..length], &kek) {
                Ok(contents) => {
                    let expected: &[&[u8]] = match contents.generation {
                        7 => &[b"a"],
                        8 => &[b"a", b"b"],
                        9 => &[b"b"],
                        other => panic!("generation {other}"),
                    };
                    assert!(contents.records.keys().eq(expected), "{length}");
                    assert_eq!(contents.torn == 0 && length == file.len(), contents.generation == 9, "{length}");
                }
                Err(Unreadable::Damaged(_)) => assert!(length < file.len()),
                Err(Unreadable::OtherKek(_)) => panic!("the key is the same"),
            }
        }
    }

    #[test]
    fn a_change_out_of_its_place_is_not_read() {
        let (kek, file) = sample();
        let Ok(contents) = read(&file, &kek) else { panic!("whole") };
        let mut skipped = file.clone();
        skipped.extend(change_frame(&contents.key, 11, vec![(b"c".to_vec(), None)]).unwrap());
        let Ok(again) = read(&skipped, &kek) else { panic!("whole") };
        assert_eq!(again.generation, 9);
        assert_eq!(again.torn, (skipped.len() - file.len()) as u64);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let kek = KeyEncryptionKey::parse(&"11".repeat(32)).unwrap();
            prop_assert!(read(&octets, &kek).is_err());
            let mut with_magic = MAGIC.to_vec();
            with_magic.extend(octets);
            prop_assert!(read(&with_magic, &kek).is_err());
        }

        #[test]
        fn a_changed_octet_gives_an_earlier_generation_or_nothing(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let (kek, mut file) = sample();
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
            if let Ok(contents) = read(&file, &kek) {
                prop_assert!(contents.generation < 9 && contents.torn > 0);
            }
        }
    }
}
