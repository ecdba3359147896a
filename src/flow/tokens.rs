//! Where fields end: the positions of every space and newline in a block, 64 bytes at a time.
//!
//! The only unsafe code of this room. AVX2 is used where the processor has it (asked once); the portable twin is memchr,
//! and a test holds the two against each other.

/// Appends nothing and forgets the old content: `into` afterwards holds the positions of all spaces and newlines of
/// `block`, in order. `block` must be shorter than 4 GiB.
pub(super) fn delimiters(block: &[u8], into: &mut Vec<u32>) {
    into.clear();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return x86::delimiters(block, into);
    }
    portable(block, 0, into);
}

/// The twin, and the end of a block that is no multiple of 64 bytes.
fn portable(block: &[u8], from: usize, into: &mut Vec<u32>) {
    let found = memchr::memchr2_iter(b' ', b'\n', &block[from..]);
    into.extend(found.map(|i| (from + i) as u32));
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::_mm256_set1_epi8;
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256};

    const STEP: usize = 64;

    /// As the parent's function of that name; the caller has asked for AVX2.
    pub(super) fn delimiters(block: &[u8], into: &mut Vec<u32>) {
        // One place for every byte and for the eight that are written at once: no check while writing.
        into.resize(block.len() + STEP, 0);
        let whole = block.len() - block.len() % STEP;
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the parent calls this only after `is_x86_feature_detected!("avx2")` said yes.
        let found = unsafe { positions(&block[..whole], into) };
        into.truncate(found);
        super::portable(block, whole, into);
    }

    /// Positions in a block of whole steps, written to the start of `into`; returns how many.
    #[target_feature(enable = "avx2,bmi1")]
    fn positions(block: &[u8], into: &mut [u32]) -> usize {
        let mut n = 0;
        for (step, bytes) in block.chunks_exact(STEP).enumerate() {
            let mut mask = u64::from(half(&bytes[..32])) | u64::from(half(&bytes[32..])) << 32;
            let (base, count) = ((step * STEP) as u32, mask.count_ones() as usize);
            let mut at = n;
            n += count;
            while at < n {
                for slot in &mut into[at..at + 8] {
                    *slot = base + mask.trailing_zeros();
                    mask &= mask.wrapping_sub(1);
                }
                at += 8;
            }
        }
        n
    }

    /// A bit for each of 32 bytes that is a space or a newline.
    #[target_feature(enable = "avx2")]
    fn half(bytes: &[u8]) -> u32 {
        assert!(bytes.len() >= 32);
        #[expect(unsafe_code, reason = "a load of 32 bytes takes a pointer")]
        // SAFETY: the slice has at least 32 bytes (checked above), and the load needs no alignment.
        let v = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast::<__m256i>()) };
        let space = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(b' ' as i8));
        let line = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(b'\n' as i8));
        _mm256_movemask_epi8(_mm256_or_si256(space, line)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_paths_find_the_same(block in proptest::collection::vec(prop_oneof![Just(b' '), Just(b'\n'), any::<u8>()], 0..700)) {
            let (mut fast, mut slow) = (vec![7], Vec::new());
            delimiters(&block, &mut fast);
            portable(&block, 0, &mut slow);
            prop_assert_eq!(&fast, &slow);
            let naive: Vec<u32> = (0..block.len() as u32).filter(|i| matches!(block[*i as usize], b' ' | b'\n')).collect();
            prop_assert_eq!(slow, naive);
        }
    }
}
