//! FTRL-proximal logistic regression (McMahan et al., KDD 2013, algorithm 1) over binary hashed features.
//!
//! Each example's features are scaled to unit length, so that a long post moves the weights no more than a short one.
//! Our own, because `linfa-ftrl` wants a dense matrix: 56,000 posts of 4,194,304 columns.

/// The learner's constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Learning rate. 4 beat 0.5, 1 and 2 at 0.1 % false positives.
    pub alpha: f32,
    /// Smoothing of the learning rate.
    pub beta: f32,
    /// L1 penalty: prunes what was seen once.
    pub l1: f32,
    /// L2 penalty.
    pub l2: f32,
}

impl Default for Rates {
    fn default() -> Self {
        Self { alpha: 4.0, beta: 1.0, l1: 0.0, l2: 0.0 }
    }
}

/// One example: distinct feature hashes, whether it is spam, and how much it counts.
#[derive(Debug, Clone)]
pub struct Example {
    /// 32-bit hashes, distinct.
    pub hashes: Vec<u32>,
    /// The label.
    pub spam: bool,
    /// 1 for an ordinary example.
    pub weight: f32,
}

/// A learner under way.
#[derive(Debug)]
pub struct Ftrl {
    rates: Rates,
    bits: u32,
    /// `z` and `n` of the paper, side by side: they are always read together.
    state: Vec<[f32; 2]>,
}

impl Ftrl {
    /// An untrained learner of 2^`bits` weights.
    pub fn new(bits: u32, rates: Rates) -> Self {
        Self { rates, bits, state: vec![[0.0; 2]; 1 << bits] }
    }

    fn slot(&self, hash: u32) -> usize {
        (hash >> (32 - self.bits)) as usize
    }

    fn weight_at(&self, slot: usize) -> f32 {
        let [z, n] = self.state[slot];
        if z.abs() <= self.rates.l1 {
            return 0.0;
        }
        let Rates { alpha, beta, l1, l2 } = self.rates;
        -(z - z.signum() * l1) / ((beta + n.sqrt()) / alpha + l2)
    }

    /// Log-odds of an example.
    pub fn logit(&self, hashes: &[u32]) -> f32 {
        let sum: f32 = hashes.iter().map(|&hash| self.weight_at(self.slot(hash))).sum();
        sum / (hashes.len().max(1) as f32).sqrt()
    }

    /// Learns one example; returns the log-odds from before.
    pub fn learn(&mut self, example: &Example) -> f32 {
        let logit = self.logit(&example.hashes);
        let scale = 1.0 / (example.hashes.len().max(1) as f32).sqrt();
        let probability = 1.0 / (1.0 + (-logit).exp());
        let gradient = (probability - f32::from(u8::from(example.spam))) * scale * example.weight;
        for &hash in &example.hashes {
            let slot = self.slot(hash);
            let weight = self.weight_at(slot);
            let [z, n] = &mut self.state[slot];
            let squared = *n + gradient * gradient;
            let sigma = (squared.sqrt() - n.sqrt()) / self.rates.alpha;
            *z += gradient - sigma * weight;
            *n = squared;
        }
        logit
    }

    /// The weights as they are.
    pub fn weights(&self) -> Vec<f32> {
        (0..self.state.len()).map(|slot| self.weight_at(slot)).collect()
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
