//! Numbers that a seed decides, so that a test that failed fails again.

/// xorshift64.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Random {
    pub fn new(seed: u64) -> Self {
        // It must not begin with 0, and small seeds would stay small for a while.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to `most`.
    pub fn at_most(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % (most as u64).saturating_add(1)) as usize
    }
}
