//! Memory for cells in large pages, shared by the parts of a table.
//!
//! Cells are met at random. In pages of 4 KiB the way to a cell through the page tables costs as much as the cell itself,
//! most of all on virtual machines, which walk two sets of them. So chunks of all parts are cut from blocks for which large
//! pages are asked. A block is given back with the last chunk of it.

use memmap2::MmapMut;
use std::alloc::{Layout, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a large page, and where one begins.
const PAGE: usize = 2 << 20;

/// Bytes of a block. What of it was never written takes no memory.
const BLOCK: usize = 4 * PAGE;

/// Asks for large pages for what a list has room for, but does not yet hold.
pub(in crate::aggregate) fn ask_for_large_pages<T>(list: &mut Vec<T>) {
    let room = list.spare_capacity_mut();
    let first = room.as_mut_ptr().cast::<u8>();
    let skipped = first.align_offset(PAGE);
    if let Some(bytes) = size_of_val(room).checked_sub(skipped) {
        advise(first.wrapping_add(skipped), bytes / PAGE * PAGE);
    }
}

/// Advice only: a system without large pages gives small ones.
fn advise(first: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: whatever the range is, what it holds stays as it is.
    unsafe {
        libc::madvise(first.cast(), bytes, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (first, bytes);
}

/// Pages of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// Large ones, if the system has any: at least one is taken.
    Large,
    /// Those that are usual.
    Small,
}

/// Hands out chunks for `CHUNK` values each.
#[derive(Debug)]
pub(super) struct Slab<T, const CHUNK: usize> {
    pages: Pages,
    /// The block in use, and how many chunks of it were handed out.
    block: Mutex<Option<(Arc<Block>, usize)>>,
    of: PhantomData<fn() -> T>,
}

impl<T, const CHUNK: usize> Slab<T, CHUNK> {
    const BYTES: usize = CHUNK * size_of::<T>();

    pub(super) fn new(pages: Pages) -> Self {
        Slab {
            pages,
            block: Mutex::default(),
            of: PhantomData,
        }
    }

    /// An empty chunk.
    pub(super) fn chunk(&self) -> Chunk<T, CHUNK>
    where
        T: Copy,
    {
        const { assert!(CHUNK > 0 && Self::BYTES > 0 && Self::BYTES <= BLOCK && align_of::<T>() <= PAGE) };
        let mut current = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let (block, used) = match current.take() {
            Some((block, used)) if (used + 1) * Self::BYTES <= BLOCK => (block, used),
            _ => (Arc::new(Block::new(self.pages)), 0),
        };
        *current = Some((Arc::clone(&block), used + 1));
        Chunk {
            first: block.at(used * Self::BYTES).cast(),
            len: 0,
            block,
        }
    }
}

/// A list of at most `CHUNK` values.
#[derive(Debug)]
pub(super) struct Chunk<T, const CHUNK: usize> {
    first: NonNull<T>,
    len: usize,
    #[expect(dead_code, reason = "keeps the memory")]
    block: Arc<Block>,
}

#[expect(unsafe_code, reason = "a chunk is the only owner of its values")]
// SAFETY: the memory behind `first` is no other chunk's, as that of a `Vec` is no other's.
unsafe impl<T: Send, const CHUNK: usize> Send for Chunk<T, CHUNK> {}
#[expect(unsafe_code, reason = "a chunk is the only owner of its values")]
// SAFETY: as above; a shared chunk is only read.
unsafe impl<T: Sync, const CHUNK: usize> Sync for Chunk<T, CHUNK> {}

impl<T: Copy, const CHUNK: usize> Chunk<T, CHUNK> {
    /// Adds a value.
    ///
    /// # Panics
    /// If the chunk is full.
    #[inline(always)]
    pub(super) fn push(&mut self, value: T) {
        assert!(self.len < CHUNK, "a chunk is full");
        #[expect(unsafe_code, reason = "memory of a block has no values yet")]
        // SAFETY: a chunk has room for `CHUNK` values, aligned (the block is, for all that `Slab::chunk` lets through, and a
        // chunk's bytes are a multiple of a value's), and nobody else has it.
        unsafe {
            self.first.add(self.len).write(value);
        }
        self.len += 1;
    }

    /// Forgets all but the first `len` values.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl<T, const CHUNK: usize> Deref for Chunk<T, CHUNK> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        #[expect(unsafe_code, reason = "the values that were written")]
        // SAFETY: the first `len` values were written, by `push`, and live as long as the block.
        unsafe {
            std::slice::from_raw_parts(self.first.as_ptr(), self.len)
        }
    }
}

impl<T, const CHUNK: usize> DerefMut for Chunk<T, CHUNK> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        #[expect(unsafe_code, reason = "the values that were written")]
        // SAFETY: as `deref`; a chunk that is borrowed for writing is read by nobody.
        unsafe {
            std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len)
        }
    }
}

/// Memory that begins where a large page does, given back to the system at its end.
#[derive(Debug)]
struct Block {
    first: NonNull<u8>,
    #[expect(dead_code, reason = "keeps the memory")]
    map: MmapMut,
}

#[expect(unsafe_code, reason = "a block is memory that nobody reads or writes through it")]
// SAFETY: all that is done with a block is to hand out addresses, and to give it back when nobody has it any more.
unsafe impl Send for Block {}
#[expect(unsafe_code, reason = "a block is memory that nobody reads or writes through it")]
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// Ends the program as `Vec` does if there is no memory.
    fn new(pages: Pages) -> Self {
        let no_memory = || handle_alloc_error(Layout::new::<[u8; BLOCK + PAGE]>());
        let mut map = MmapMut::map_anon(BLOCK + PAGE).unwrap_or_else(|_| no_memory());
        let skipped = map.as_ptr().align_offset(PAGE);
        let block = &mut map[skipped..skipped + BLOCK];
        if pages == Pages::Large {
            advise(block.as_mut_ptr(), BLOCK);
        }
        Block {
            first: NonNull::from(block).cast(),
            map,
        }
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < BLOCK, "beyond the block");
        #[expect(unsafe_code, reason = "an address within the block")]
        // SAFETY: just compared.
        unsafe {
            self.first.add(offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_do_not_overlap_and_outlive_their_slab() {
        const CHUNK: usize = 1000;
        let slab: Slab<[u64; 9], CHUNK> = Slab::new(Pages::Large);
        // Several blocks.
        let mut chunks: Vec<_> = (0..300).map(|_| slab.chunk()).collect();
        drop(slab);
        for n in 0..CHUNK as u64 {
            for (chunk, at) in chunks.iter_mut().zip(0u64..) {
                chunk.push([at << 32 | n; 9]);
            }
        }
        chunks.retain(|chunk| chunk[0][0] >> 32 != 7);
        for chunk in &mut chunks {
            let at = chunk[0][0] >> 32;
            assert!(chunk.iter().zip(0..).all(|(value, n)| *value == [at << 32 | n; 9]));
            chunk[3] = [1; 9];
            chunk.truncate(4);
            assert_eq!((chunk.len(), chunk[3]), (4, [1; 9]));
        }
        assert_eq!(chunks.len(), 299);
    }

    #[test]
    #[should_panic(expected = "a chunk is full")]
    fn a_full_chunk_takes_no_more() {
        let mut chunk = Slab::<u8, 2>::new(Pages::Small).chunk();
        (0..3).for_each(|n| chunk.push(n));
    }
}
