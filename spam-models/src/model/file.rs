//! The model's file: `WAXSPAM\0`, format version (u16, little endian), SHA-256 of the rest, length of the card (u32),
//! the card as JSON, the codes deflated (RFC 1950).
//!
//! A bucket has four octets: three weights ([`Weight`]) and the step of its contrast; the file holds all first octets,
//! then all second ones and so on. A weight is one of 255 steps that grow with the cube of their number, because most
//! weights are small and a few decide. Rounding costs nothing that was measurable; pruned weights become runs of zeros
//! that deflate packs.

use std::io::{Read as _, Write as _};

use sha2::{Digest as _, Sha256};

use super::{Card, Model, ModelError};
use crate::learn::{STEPS, value_of};
use crate::logits::Weight;

const MAGIC: &[u8; 8] = b"WAXSPAM\0";
/// Changes with the file's layout and with every change of what a feature's hash is.
const FORMAT: u16 = 2;
const HEAD: usize = 8 + 2 + 32;
/// log2 of the most weights a file may announce: a hostile file must not take all memory.
const MOST_BITS: u32 = 24;

/// The weight beyond which all weights are cut: the last step. The starting point alone weighs more than 30.
const MOST: f32 = 64.0;

/// What the octets of a bucket stand for.
pub(super) struct Tables {
    weights: [f32; 256],
    squares: [f32; 256],
}

impl Tables {
    fn new() -> Self {
        let weight = |code: usize| {
            let step = code as f32 - 128.0;
            if code == 0 { 0.0 } else { (step / 127.0).powi(3) * MOST }
        };
        let square = |code: usize| value_of(code.min(usize::from(STEPS)) as u8).powi(2);
        Self { weights: std::array::from_fn(weight), squares: std::array::from_fn(square) }
    }

    #[inline]
    pub(super) fn read(&self, [plain, contrast, step, stretch]: [u8; COLUMNS]) -> Weight {
        Weight {
            plain: self.weights[usize::from(plain)],
            contrast: self.weights[usize::from(contrast)],
            square: self.squares[usize::from(step)],
            stretch: self.weights[usize::from(stretch)],
        }
    }
}

/// Octets of a bucket.
pub(super) const COLUMNS: usize = 4;

fn code(weight: f32) -> u8 {
    let step = (weight.abs().min(MOST) / MOST).cbrt() * 127.0;
    // 0 and 128 both stand for nothing; 0 packs better beside pruned weights.
    match (128.0 + step.round().copysign(weight)) as u8 {
        128 => 0,
        code => code,
    }
}

pub(super) fn round(card: Card, weights: &[Weight], steps: &[u8]) -> Model {
    let codes: Vec<[u8; COLUMNS]> = weights
        .iter()
        .zip(steps)
        .map(|(weight, &step)| [code(weight.plain), code(weight.contrast), step, code(weight.stretch)])
        .collect();
    let written_card = serde_json::to_vec(&card).unwrap_or_default();
    let digest = hex(&Sha256::digest(body(&written_card, &columns(&codes))));
    Model { card, written_card, digest, codes, tables: Tables::new() }
}

fn columns(codes: &[[u8; COLUMNS]]) -> Vec<u8> {
    (0..COLUMNS).flat_map(|column| codes.iter().map(move |bucket| bucket[column])).collect()
}

/// Everything after the digest, weights not packed: packing may change with the library, the digest must not.
fn body(card: &[u8], codes: &[u8]) -> Vec<u8> {
    let mut out = (card.len() as u32).to_le_bytes().to_vec();
    out.extend(card);
    out.extend(codes);
    out
}

pub(super) fn write(model: &Model) -> Vec<u8> {
    let columns = columns(&model.codes);
    let body = body(&model.written_card, &columns);
    let plain = body.len() - columns.len();
    let mut out = MAGIC.to_vec();
    out.extend(FORMAT.to_le_bytes());
    out.extend(Sha256::digest(&body));
    out.extend(&body[..plain]);
    let mut packer = flate2::write::ZlibEncoder::new(out, flate2::Compression::best());
    // A vector takes every write.
    let _ = packer.write_all(&columns);
    packer.finish().unwrap_or_default()
}

pub(super) fn read(bytes: &[u8]) -> Result<Model, ModelError> {
    if bytes.len() < HEAD + 4 || &bytes[..8] != MAGIC {
        return Err(ModelError::Format("it does not begin as one"));
    }
    let found = u16::from_le_bytes([bytes[8], bytes[9]]);
    if found != FORMAT {
        return Err(ModelError::Version { found, expected: FORMAT });
    }
    let length = u32::from_le_bytes([bytes[HEAD], bytes[HEAD + 1], bytes[HEAD + 2], bytes[HEAD + 3]]) as usize;
    let written_card =
        bytes.get(HEAD + 4..).and_then(|rest| rest.get(..length)).ok_or(ModelError::Format("its card is cut off"))?;
    let card: Card = serde_json::from_slice(written_card).map_err(|_| ModelError::Format("its card cannot be read"))?;
    if !(8..=MOST_BITS).contains(&card.bits) {
        return Err(ModelError::Format("it has an impossible number of weights"));
    }
    let size = 1_usize << card.bits;
    let mut columns = Vec::with_capacity(size * COLUMNS);
    flate2::read::ZlibDecoder::new(&bytes[HEAD + 4 + length..])
        .take((size * COLUMNS) as u64 + 1)
        .read_to_end(&mut columns)
        .map_err(|_| ModelError::Format("its weights cannot be unpacked"))?;
    if columns.len() != size * COLUMNS {
        return Err(ModelError::Format("its weights are not as many as its card says"));
    }
    let mut hash = Sha256::new();
    hash.update(&bytes[HEAD..HEAD + 4 + length]);
    hash.update(&columns);
    let (found, written) = (hex(&hash.finalize()), hex(&bytes[10..HEAD]));
    if found != written {
        return Err(ModelError::Damaged { found, written });
    }
    let codes = (0..size).map(|at| std::array::from_fn(|column| columns[column * size + at])).collect();
    Ok(Model { card, written_card: written_card.to_vec(), digest: found, codes, tables: Tables::new() })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}
