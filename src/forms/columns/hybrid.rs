//! Parquet's hybrid of runs and bit-packed groups, in which levels and dictionary codes are written.
//!
//! Source: "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)", apache/parquet-format:Encodings.md. The parquet crate
//! keeps its decoder to itself and hands out values, not codes; codes are what lets each distinct value be parsed once.

/// Decodes numbers of at most 32 bits.
#[derive(Debug, Clone)]
pub(crate) struct Hybrid {
    data: bytes::Bytes,
    at: usize,
    width: u32,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    /// So many times the same number.
    Same { left: usize, value: u32 },
    /// So many numbers packed, from this bit on.
    Packed { left: usize, bit: usize },
}

impl Hybrid {
    /// For numbers of `width` bits; `None` if a number could be wider than 32.
    pub(crate) fn new(data: bytes::Bytes, width: u32) -> Option<Self> {
        let run = Run::Same { left: 0, value: 0 };
        (width <= 32).then_some(Hybrid {
            data,
            at: 0,
            width,
            run,
        })
    }

    /// Reads as many numbers as fit; `None` if the data end before.
    pub(crate) fn read(&mut self, into: &mut [u32]) -> Option<()> {
        let mut rest = into;
        while !rest.is_empty() {
            let left = match self.run {
                Run::Same { left, .. } | Run::Packed { left, .. } => left.min(rest.len()),
            };
            let (now, later) = std::mem::take(&mut rest).split_at_mut(left);
            rest = later;
            match &mut self.run {
                Run::Same { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Same { left, value } => {
                    now.fill(*value);
                    *left -= now.len();
                }
                Run::Packed { left, bit } => {
                    unpack(&self.data, *bit, self.width, now);
                    *bit += now.len() * self.width as usize;
                    *left -= now.len();
                }
            }
        }
        Some(())
    }

    /// Reads `count` numbers as runs, each with its length; `None` if the data end before.
    pub(crate) fn runs(&mut self, count: usize, into: &mut Vec<(u32, usize)>) -> Option<()> {
        let mut wanted = count;
        let mut add = |value, n| match into.last_mut().filter(|(last, _)| *last == value) {
            Some((_, length)) => *length += n,
            None => into.push((value, n)),
        };
        while wanted > 0 {
            match &mut self.run {
                Run::Same { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Same { left, value } => {
                    let n = wanted.min(*left);
                    add(*value, n);
                    (*left, wanted) = (*left - n, wanted - n);
                }
                Run::Packed { left, bit } => {
                    add(number_at(&self.data, *bit, self.width), 1);
                    *bit += self.width as usize;
                    (*left, wanted) = (*left - 1, wanted - 1);
                }
            }
        }
        Some(())
    }

    /// Passes over `count` numbers; `None` if the data end before.
    pub(crate) fn skip(&mut self, count: usize) -> Option<()> {
        let mut wanted = count;
        while wanted > 0 {
            let (n, width) = (wanted, self.width as usize);
            match &mut self.run {
                Run::Same { left: 0, .. } | Run::Packed { left: 0, .. } => self.next_run()?,
                Run::Same { left, .. } => (*left, wanted) = (*left - n.min(*left), n - n.min(*left)),
                Run::Packed { left, bit } => {
                    *bit += n.min(*left) * width;
                    (*left, wanted) = (*left - n.min(*left), n - n.min(*left));
                }
            }
        }
        Some(())
    }

    fn next_run(&mut self) -> Option<()> {
        let header = self.varint()?;
        let count = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let value = self.value()?;
            self.run = Run::Same { left: count, value };
            // A run of nothing would never end the loop above at the end of the data.
            return (count > 0).then_some(());
        }
        let bytes = count.checked_mul(self.width as usize)?;
        let end = self.at.checked_add(bytes)?;
        let there = self.data.len().min(end) - self.at;
        // The last group may be cut where its numbers are padding.
        let numbers = if self.width == 0 {
            count.checked_mul(8)?
        } else {
            (there * 8 / self.width as usize).min(count.checked_mul(8)?)
        };
        self.run = Run::Packed {
            left: numbers,
            bit: self.at * 8,
        };
        self.at = self.at.checked_add(there)?;
        (numbers > 0).then_some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut n = 0u64;
        for shift in (0..63).step_by(7) {
            let byte = *self.data.get(self.at)?;
            self.at += 1;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    fn value(&mut self) -> Option<u32> {
        let bytes = self.width.div_ceil(8) as usize;
        let raw = self.data.get(self.at..self.at + bytes)?;
        self.at += bytes;
        Some(raw.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)))
    }
}

/// Reads numbers of `width` bits that start at bit `from`; the caller has seen that they are there.
fn unpack(data: &[u8], from: usize, width: u32, into: &mut [u32]) {
    let to_byte = (0..8)
        .find(|n| (from + n * width as usize).is_multiple_of(8))
        .unwrap_or(0)
        .min(into.len());
    let (first, rest) = into.split_at_mut(to_byte);
    one_by_one(data, from, width, first);
    let at = from + to_byte * width as usize;
    let done = 8 * eights_at(data.get(at / 8..).unwrap_or_default(), width, rest);
    one_by_one(
        data,
        at + done * width as usize,
        width,
        rest.get_mut(done..).unwrap_or_default(),
    );
}

/// Numbers wherever they stand: the slow twin of [`eights_at`].
fn one_by_one(data: &[u8], from: usize, width: u32, into: &mut [u32]) {
    for (i, slot) in into.iter_mut().enumerate() {
        *slot = number_at(data, from + i * width as usize, width);
    }
}

fn number_at(data: &[u8], bit: usize, width: u32) -> u32 {
    let mask = if width == 32 { u32::MAX } else { (1u32 << width) - 1 };
    let byte = bit / 8;
    let word = match data.get(byte..byte + 8) {
        Some(w) => w.try_into().map_or(0, u64::from_le_bytes),
        None => {
            let rest = data.get(byte..).unwrap_or_default();
            rest.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
        }
    };
    (word >> (bit % 8)) as u32 & mask
}

/// Reads eight numbers after the other that start with a byte; returns how many times. Words are loaded whole, so the last
/// eight may be left.
fn eights_at(data: &[u8], width: u32, into: &mut [u32]) -> usize {
    macro_rules! by_width {
        ($($w:literal)*) => { match width { $($w => eights::<$w>(data, into),)* _ => 0 } };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

/// Every offset is known when this is compiled, so a number is a load, a shift and a mask.
fn eights<const W: usize>(data: &[u8], into: &mut [u32]) -> usize {
    const WORD: usize = 8;
    let (slots, _) = into.as_chunks_mut::<8>();
    let there = data.len().checked_sub(W + WORD).map_or(0, |room| room / W + 1);
    let whole = slots.len().min(there);
    for (eight, slots) in slots.iter_mut().take(whole).enumerate() {
        let group = &data[eight * W..eight * W + W + WORD];
        let mut i = 0;
        while i < 8 {
            let (byte, bit) = (i * W / 8, i * W % 8);
            let word = group[byte..byte + WORD].try_into().map_or(0, u64::from_le_bytes);
            slots[i] = (word >> bit) as u32 & (u32::MAX >> (32 - W));
            i += 1;
        }
    }
    whole
}

/// Bits that a number of at most `max` takes.
pub(crate) fn width_of(max: u64) -> u32 {
    u64::BITS - max.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obvious writer: runs of eight and more as runs, everything else packed.
    fn write(numbers: &[u32], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut i = 0;
        while i < numbers.len() {
            let same = numbers[i..].iter().take_while(|n| **n == numbers[i]).count();
            if same >= 8 {
                varint((same as u64) << 1, &mut out);
                out.extend(&numbers[i].to_le_bytes()[..width.div_ceil(8) as usize]);
                i += same;
            } else {
                let group: Vec<u32> = (i..i + 8).map(|k| numbers.get(k).copied().unwrap_or(0)).collect();
                varint(1 << 1 | 1, &mut out);
                let mut bits = vec![false; 8 * width as usize];
                for (k, n) in group.iter().enumerate() {
                    (0..width).for_each(|b| bits[k * width as usize + b as usize] = n >> b & 1 == 1);
                }
                out.extend(
                    bits.chunks(8)
                        .map(|c| c.iter().rev().fold(0, |n, b| n << 1 | u8::from(*b))),
                );
                i += 8;
            }
        }
        out
    }

    fn varint(mut n: u64, out: &mut Vec<u8>) {
        while n > 0x7f {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_in_any_steps(
            width in 0u32..=32, seeds in prop::collection::vec((any::<u32>(), 1usize..20), 0..40), step in 1usize..50
        ) {
            let mask = if width == 32 { u32::MAX } else { (1u32 << width) - 1 };
            let numbers: Vec<u32> = seeds.iter().flat_map(|(n, k)| std::iter::repeat_n(n & mask, *k)).collect();
            let mut hybrid = Hybrid::new(write(&numbers, width).into(), width).unwrap();
            let mut read = Vec::new();
            while read.len() < numbers.len() {
                let count = step.min(numbers.len() - read.len());
                if step % 3 == 0 {
                    hybrid.skip(count).unwrap();
                    read.extend_from_slice(&numbers[read.len()..read.len() + count]);
                } else if step % 2 == 0 {
                    let mut runs = Vec::new();
                    hybrid.runs(count, &mut runs).unwrap();
                    prop_assert!(runs.windows(2).all(|w| w[0].0 != w[1].0));
                    runs.iter().for_each(|(n, times)| read.resize(read.len() + times, *n));
                } else {
                    let before = read.len();
                    read.resize(before + count, 0);
                    hybrid.read(&mut read[before..]).unwrap();
                }
            }
            prop_assert_eq!(read, numbers);
        }

        #[test]
        fn noise_ends_and_never_panics(data in prop::collection::vec(any::<u8>(), 0..64), width in 0u32..=32) {
            let _ = Hybrid::new(data.into(), width).unwrap().read(&mut [0; 1 << 12]);
        }
    }

    #[test]
    fn widths() {
        assert_eq!([0, 1, 2, 3, 255, 256].map(width_of), [0, 1, 2, 2, 8, 9]);
    }
}
