//! zstd: one or several frames, with the same promises as gzip's (RFC 8878).
//!
//! A file whose frames state their sizes and that is moderately large is unpacked at once; everything else is streamed, in
//! the memory of one window, and hands out what stands before a damage.

use std::io::{self, Read};
use zstd::zstd_safe;

/// The first bytes of a frame.
pub(super) const MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// zstd shrinks no real log by more; a header that claims more is left to the streaming path, which trusts none.
const MAX_RATIO: u64 = 4_096;

/// Unpacks a whole file into `text` if its single frame states a size of at most `cap`. `None` means: take the other path.
pub(super) fn unpack_whole(packed: &[u8], text: &mut Vec<u8>, cap: u64) -> Option<usize> {
    let size = zstd_safe::get_frame_content_size(packed).ok()??;
    let one_frame = zstd_safe::find_frame_compressed_size(packed).ok()? == packed.len();
    if !one_frame || size > cap || size > MAX_RATIO * packed.len() as u64 {
        return None;
    }
    let size = usize::try_from(size).ok()?;
    if text.len() < size {
        text.resize(size, 0);
    }
    let made = zstd_safe::decompress(text.get_mut(..size)?, packed).ok()?;
    (made == size).then_some(size)
}

/// Streams frame after frame.
///
/// # Errors
/// If the decoder cannot be made.
pub(super) fn read<'r>(packed: Box<dyn Read + 'r>) -> io::Result<Box<dyn Read + 'r>> {
    Ok(Box::new(zstd::stream::read::Decoder::new(packed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        (0..20_000u32)
            .flat_map(|i| format!("{}\n", i.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    fn streamed(packed: &[u8]) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        let ended = read(Box::new(packed)).unwrap().read_to_end(&mut all);
        (all, ended.is_ok())
    }

    #[test]
    fn both_paths_give_the_same() {
        let (text, mut whole) = (text(), Vec::new());
        let mut packed = zstd_safe_compress(&text);
        let size = unpack_whole(&packed, &mut whole, 1 << 30).unwrap();
        assert_eq!(&whole[..size], text);
        assert_eq!(streamed(&packed), (text.clone(), true));
        assert!(unpack_whole(&packed, &mut whole, 100).is_none(), "over the cap");
        packed.extend(zstd_safe_compress(b"more"));
        assert!(unpack_whole(&packed, &mut whole, 1 << 30).is_none(), "two frames");
        assert_eq!(streamed(&packed), ([&text[..], b"more"].concat(), true));
    }

    #[test]
    fn what_was_decoded_before_the_damage_is_kept() {
        let text = text();
        let packed = zstd_safe_compress(&text);
        let (kept, whole) = streamed(&packed[..packed.len() - 5]);
        assert!(!whole && text.starts_with(&kept) && !kept.is_empty());
        let (kept, whole) = streamed(&[&packed[..], b"garbage"].concat());
        assert!(!whole && kept == text);
    }

    fn zstd_safe_compress(text: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(text, 3).unwrap()
    }
}
