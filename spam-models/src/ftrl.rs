//! FTRL-proximal logistic regression (McMahan et al., KDD 2013, algorithm 1) over hashed features.
//!
//! Each example's features are scaled to unit length, so that a long post moves the weights no more than a short one.
//! Our own, because `linfa-ftrl` wants a dense matrix: 56,000 posts of 4,194,304 columns.

/// The learner's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub alpha: f32,
    /// Smoothing of the learning rate.
    pub beta: f32,
    /// L1 penalty: prunes what was seen in a post or two. 0.05 took recall at 1 % false positives from 0.91 to 0.93.
    pub l1: f32,
    /// L2 penalty. None helped.
    pub l2: f32,
}

/// A learner under way.
#[derive(Debug)]
pub struct Ftrl {
    rates: Rates,
    bits: u32,
    /// The value of each feature in an example that has it; all 1 where this is empty.
    values: Vec<f32>,
    /// `z` and `n` of the paper, side by side: they are always read together.
    state: Vec<[f32; 2]>,
}

impl Ftrl {
    /// An untrained learner of 2^`bits` weights; `values` holds as many, or none.
    pub fn new(bits: u32, rates: Rates, values: Vec<f32>) -> Self {
        Self { rates, bits, values, state: vec![[0.0; 2]; 1 << bits] }
    }

    fn slot(&self, hash: u32) -> usize {
        (hash >> (32 - self.bits)) as usize
    }

    fn value_at(&self, slot: usize) -> f32 {
        self.values.get(slot).copied().unwrap_or(1.0)
    }

    fn weight_at(&self, slot: usize) -> f32 {
        let [z, n] = self.state[slot];
        if z.abs() <= self.rates.l1 {
            return 0.0;
        }
        let Rates { alpha, beta, l1, l2 } = self.rates;
        -(z - z.signum() * l1) / ((beta + n.sqrt()) / alpha + l2)
    }

    /// The sum of the weights of `hashes`, and of their values' squares.
    pub fn sums(&self, hashes: &[u32]) -> [f32; 2] {
        hashes.iter().fold([0.0; 2], |[sum, squares], &hash| {
            let slot = self.slot(hash);
            let value = self.value_at(slot);
            [sum + self.weight_at(slot) * value, squares + value * value]
        })
    }

    /// Learns an example that counts `weight`, its length taken for `least` squared where it is less.
    pub fn learn(&mut self, hashes: &[u32], spam: bool, weight: f32, least: f32) {
        let [sum, squares] = self.sums(hashes);
        let scale = 1.0 / squares.max(least).max(1e-3).sqrt();
        let probability = 1.0 / (1.0 + (-sum * scale).exp());
        let error = (probability - f32::from(u8::from(spam))) * scale * weight;
        for &hash in hashes {
            let slot = self.slot(hash);
            let gradient = error * self.value_at(slot);
            let weight = self.weight_at(slot);
            let [z, n] = &mut self.state[slot];
            let squared = *n + gradient * gradient;
            let sigma = (squared.sqrt() - n.sqrt()) / self.rates.alpha;
            *z += gradient - sigma * weight;
            *n = squared;
        }
    }

    /// Adds `share` of what a feature now adds to a sum, for every feature.
    pub fn add_to(&self, totals: &mut [f32], share: f32) {
        for (slot, total) in totals.iter_mut().enumerate() {
            *total += self.weight_at(slot) * self.value_at(slot) * share;
        }
    }
}

/// Numbers that look random and are the same on every machine (splitmix64, Steele et al. 2014): training must be
/// reproducible, and a library's generator may change under it.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall the same way for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice of a name.
    pub fn of(seed: u64, name: &str) -> Self {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3));
        let mut dice = Self(hash ^ seed.rotate_left(32));
        dice.roll();
        dice
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % (end.max(1) as u64)) as usize
    }

    /// True `percent` times of a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Fisher and Yates' shuffle.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}
