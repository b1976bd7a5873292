//! Similarity of texts: a 64-bit hash in which near duplicates differ in few bits (Charikar's simhash over character
//! shingles, so that languages without spaces are served as well).
//!
//! Serves "similar posts" and the detection of campaigns. Not a secret and not a digest: equal hashes do not mean
//! equal texts.

use unicode_normalization::UnicodeNormalization;

/// Bits in which two texts that count as nearly equal may differ.
pub const NEAR: u32 = 7;
const SHINGLE: usize = 4;
/// Letters that are looked at; a campaign's texts agree from the start.
const MOST: usize = 4096;

fn mix(mut value: u64) -> u64 {
    // The finalizer of splitmix64: every bit of the input reaches every bit of the output.
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The hash of a text; 0 for one with too few letters to say anything.
pub fn fingerprint(text: &str) -> u64 {
    // Digits and addresses change from copy to copy of a campaign, so only letters count.
    let letters: Vec<char> =
        text.nfkc().flat_map(char::to_lowercase).filter(|c| c.is_alphabetic()).take(MOST).collect();
    if letters.len() < 12 {
        return 0;
    }
    let mut sums = [0i32; 64];
    for shingle in letters.windows(SHINGLE) {
        let hash = mix(shingle.iter().fold(0xcbf2_9ce4_8422_2325, |hash, letter| mix(hash ^ u64::from(*letter))));
        for (bit, sum) in sums.iter_mut().enumerate() {
            *sum += if hash >> bit & 1 == 1 { 1 } else { -1 };
        }
    }
    let bits = sums.iter().enumerate().filter(|(_, sum)| **sum > 0).map(|(bit, _)| 1u64 << bit);
    bits.fold(0, |hash, bit| hash | bit)
}

/// Are these the hashes of nearly equal texts?
pub fn near(one: u64, other: u64) -> bool {
    one != 0 && other != 0 && (one ^ other).count_ones() <= NEAR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_with_another_link_or_number_are_near_and_other_texts_are_not() {
        let one = fingerprint(
            "Win big today with our lucky wheel, the best bonus for new players: visit lucky1.example now!",
        );
        let copy = fingerprint(
            "WIN big today with our lucky wheel, the best bonus for new players: visit lucky7.example now!!!",
        );
        let other =
            fingerprint("How can I export my invoices of last year? The button on the billing page is greyed out.");
        assert!(near(one, copy));
        assert!(!near(one, other));
        assert_eq!(fingerprint("ok"), 0);
        assert!(!near(0, 0));
        let japanese = fingerprint("本日限定の特別キャンペーン、今すぐ登録して豪華賞品を手に入れよう");
        assert!(near(japanese, fingerprint("本日限定の特別キャンペーン！今すぐ登録して豪華賞品を手に入れよう！！")));
    }
}
