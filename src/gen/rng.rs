//! Chance that is the same for ever: SplitMix64, integers only.
//!
//! The sample account is checked in and compared byte by byte, so nothing here may depend on a library's generator or on
//! a platform's mathematics: no floats, no logarithms. Every actor draws from a stream of its own ([`Rng::fork`]), so
//! that leaving one incident out changes no other line.

/// A stream of numbers (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// An independent stream named by a label: same seed and label, same stream.
    pub(super) fn fork(seed: u64, label: &str) -> Self {
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        let mut rng = Rng(seed ^ hash);
        rng.next();
        Rng(rng.next())
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `from..to`.
    pub(super) fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// True in `percent` of all cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several; the first when there is only one. The slice must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// `mean` give or take `percent`, to the unit.
    pub(super) fn vary(&mut self, mean: u64, percent: u64) -> u64 {
        let spread = mean * percent / 100;
        mean - spread + self.below(2 * spread + 1)
    }

    /// A heavy-tailed size whose long-run mean is about `mean`: most are small, a few are large.
    pub(super) fn heavy(&mut self, mean: u64) -> u64 {
        const PERCENT: [u64; 12] = [20, 28, 36, 45, 55, 68, 82, 100, 125, 160, 200, 281];
        let percent = self.pick(&PERCENT);
        self.vary(mean * percent / 100, 20)
    }

    /// `digits` random hexadecimal digits.
    pub(super) fn hex(&mut self, digits: usize) -> String {
        self.text(digits, b"0123456789abcdef")
    }

    /// `length` random characters of AWS's base-32 alphabet, as access keys and request ids have them.
    pub(super) fn base32(&mut self, length: usize) -> String {
        self.text(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    }

    /// A version 4 UUID (RFC 9562).
    pub(super) fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        let (node, variant) = (b & 0xffff_ffff_ffff, 0x8000 | (b >> 48) & 0x3fff);
        format!(
            "{:08x}-{:04x}-4{:03x}-{variant:04x}-{node:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff
        )
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length).map(|_| char::from(self.pick(alphabet))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        let mut rng = Rng(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| rng.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn heavy_keeps_its_mean() {
        let mut rng = Rng::fork(1, "heavy");
        let mean = (0..20_000).map(|_| rng.heavy(1_000)).sum::<u64>() / 20_000;
        assert!((950..1_050).contains(&mean), "{mean}");
    }
}
