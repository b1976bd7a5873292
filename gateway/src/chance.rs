//! Chance where it decides what happens next (ids, the spread of retries): one place, so that a simulation repeats it.
//! Keys, salts and nonces are not made here: those must never repeat.

/// A random number.
pub fn number() -> u128 {
    #[cfg(test)]
    if let Some(drawn) = seeded::draw() {
        return u128::from(drawn) << 64 | u128::from(seeded::draw().unwrap_or_default());
    }
    rand::random()
}

/// A random number in 0..1.
pub fn fraction() -> f64 {
    #[cfg(test)]
    if let Some(drawn) = seeded::draw() {
        return (drawn >> 11) as f64 / (1u64 << 53) as f64;
    }
    rand::random()
}

/// Chance that is decided beforehand.
#[cfg(test)]
pub(crate) mod seeded {
    use std::cell::RefCell;

    thread_local! {
        static DICE: RefCell<Option<Dice>> = const { RefCell::new(None) };
    }

    /// From now on this thread's chance follows from `seed`; `None` sets it free again.
    pub(crate) fn begin(seed: Option<u64>) {
        DICE.with(|dice| *dice.borrow_mut() = seed.map(Dice::new));
    }

    pub(super) fn draw() -> Option<u64> {
        DICE.with(|dice| dice.borrow_mut().as_mut().map(Dice::next))
    }

    /// SplitMix64: a number that says everything that follows.
    #[derive(Debug, Clone)]
    pub(crate) struct Dice(u64);

    impl Dice {
        pub(crate) fn new(seed: u64) -> Self {
            Self(seed)
        }

        pub(crate) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        /// A number below `end`, which is not zero.
        pub(crate) fn below(&mut self, end: u64) -> u64 {
            self.next() % end
        }

        /// True `of_1000` times in a thousand.
        pub(crate) fn chance(&mut self, of_1000: u64) -> bool {
            self.below(1000) < of_1000
        }
    }
}
