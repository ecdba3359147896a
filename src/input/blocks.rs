//! Much that is seldom asked for, in little memory: blocks of bytes, deflated when they are complete.
//!
//! In: blocks of some kilobytes, each under its number. Out: the same bytes. Whoever walks over all of them unpacks one at a
//! time ([`Blocks::read`]); whoever asks here and there finds the last few still open ([`Blocks::get`]), since the next
//! question mostly is for a neighbour.

use libdeflater::{CompressionLvl, Compressor, Decompressor};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Blocks by number.
#[derive(Default)]
pub(crate) struct Blocks {
    packed: Vec<Block>,
    /// Kept between blocks while there are more to come.
    packer: Option<Compressor>,
    recent: Mutex<Recent>,
}

#[derive(Clone, Default)]
struct Block {
    bytes: Box<[u8]>,
    /// Its length unpacked. The bytes stand as they are if they are as many.
    length: usize,
}

/// The blocks that were asked for last, the latest first.
type Recent = VecDeque<(usize, Arc<[u8]>)>;

/// So many of them stay open.
const RECENT: usize = 16;

impl Blocks {
    /// Keeps a block; one that has no number yet is empty.
    pub(crate) fn put(&mut self, number: usize, plain: &[u8]) {
        if self.packed.len() <= number {
            self.packed.resize_with(number + 1, Block::default);
        }
        let bytes = self.pack(plain);
        let length = plain.len();
        if let Some(block) = self.packed.get_mut(number) {
            *block = Block { bytes, length };
        }
    }

    fn pack(&mut self, plain: &[u8]) -> Box<[u8]> {
        // More effort makes them a tenth smaller, and takes five times as long and four times the room.
        let packer = self
            .packer
            .get_or_insert_with(|| Compressor::new(CompressionLvl::new(1).unwrap_or_default()));
        let mut packed = vec![0; plain.len().saturating_sub(1)];
        match packer.deflate_compress(plain, &mut packed) {
            Ok(length) => packed.get(..length).unwrap_or_default().into(),
            Err(_) => plain.into(),
        }
    }

    /// Says that no more come for now.
    pub(crate) fn rest(&mut self) {
        self.packer = None;
        self.packed.shrink_to_fit();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.packed.len()
    }

    /// A block for whoever reads all of them.
    pub(crate) fn read(&self, number: usize) -> Option<Arc<[u8]>> {
        self.packed.get(number)?.unpack()
    }

    /// A block for whoever asks for one now and then.
    pub(crate) fn get(&self, number: usize) -> Option<Arc<[u8]>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = recent.iter().position(|(n, _)| *n == number) {
            recent.swap(0, place);
            return recent.front().map(|(_, block)| Arc::clone(block));
        }
        let block = self.read(number)?;
        recent.truncate(RECENT - 1);
        recent.push_front((number, Arc::clone(&block)));
        Some(block)
    }

    /// How many bytes they take.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        let block = |b: &Block| b.bytes.len() + size_of::<Block>();
        self.packed.iter().map(block).sum()
    }
}

impl Block {
    fn unpack(&self) -> Option<Arc<[u8]>> {
        if self.bytes.len() == self.length {
            return Some(Arc::from(&*self.bytes));
        }
        let mut plain = vec![0; self.length];
        let length = Decompressor::new().deflate_decompress(&self.bytes, &mut plain);
        (length == Ok(self.length)).then(|| plain.into())
    }
}

impl Clone for Blocks {
    fn clone(&self) -> Self {
        Blocks {
            packed: self.packed.clone(),
            ..Blocks::default()
        }
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn blocks_come_back_as_they_were(
            plain in prop::collection::vec(prop::collection::vec(prop_oneof![0u8..2, any::<u8>()], 0..300), 1..40),
            asked in prop::collection::vec(0usize..40, 0..90),
        ) {
            let mut blocks = Blocks::default();
            for (number, block) in plain.iter().enumerate().rev() {
                blocks.put(number, block);
            }
            blocks.rest();
            prop_assert_eq!(blocks.len(), plain.len());
            for number in asked {
                let expected = plain.get(number).map(|b| Arc::from(b.as_slice()));
                prop_assert_eq!(blocks.get(number), expected.clone());
                prop_assert_eq!(blocks.clone().read(number), expected);
            }
        }
    }

    #[test]
    fn a_later_block_replaces_an_earlier_one_and_holes_are_empty() {
        let mut blocks = Blocks::default();
        blocks.put(2, b"once");
        blocks.put(2, b"twice");
        assert_eq!(blocks.get(2).as_deref(), Some(b"twice".as_slice()));
        assert_eq!(blocks.get(0).as_deref(), Some(b"".as_slice()));
        assert_eq!(blocks.get(3), None);
    }
}
