//! Where fields end: the positions of every space and newline in a block, 64 bytes at a time.
//!
//! The only unsafe code of this room. AVX2 is used where the processor has it (asked once); the portable twin is memchr,
//! and a test holds the two against each other.

/// The positions of all spaces and newlines of `block`, in order, in the room that `room` has for them. `block` must be
/// shorter than 4 GiB.
pub(super) fn delimiters<'r>(block: &[u8], room: &'r mut Vec<u32>) -> &'r [u32] {
    // One place for every byte and for the eight that are written at once: no check while writing.
    if room.len() < block.len() + STEP {
        room.resize(block.len() + STEP, 0);
    }
    let whole = block.len() - block.len() % STEP;
    let mut n = whole_steps(&block[..whole], room);
    for i in portable(block, whole) {
        room[n] = i;
        n += 1;
    }
    &room[..n]
}

const STEP: usize = 64;

/// Positions in a block of whole steps, written to the start of `room`; returns how many.
fn whole_steps(block: &[u8], room: &mut [u32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi1") {
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the processor was just asked for both.
        return unsafe { x86::positions(block, room) };
    }
    portable(block, 0)
        .zip(room.iter_mut())
        .map(|(i, slot)| *slot = i)
        .count()
}

/// The twin, and the end of a block that is no multiple of a step.
fn portable(block: &[u8], from: usize) -> impl Iterator<Item = u32> {
    memchr::memchr2_iter(b' ', b'\n', &block[from..]).map(move |i| (from + i) as u32)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::STEP;
    use std::arch::x86_64::_mm256_set1_epi8;
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256};

    /// Positions in a block of whole steps, written to the start of `into`; returns how many.
    #[target_feature(enable = "avx2,bmi1")]
    pub(super) fn positions(block: &[u8], into: &mut [u32]) -> usize {
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
            let mut room = vec![7; 100];
            let fast = delimiters(&block, &mut room);
            let slow: Vec<u32> = portable(&block, 0).collect();
            prop_assert_eq!(fast, &slow);
            let naive: Vec<u32> = (0..block.len() as u32).filter(|i| matches!(block[*i as usize], b' ' | b'\n')).collect();
            prop_assert_eq!(slow, naive);
        }
    }
}
