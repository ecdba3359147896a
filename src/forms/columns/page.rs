//! One data page: its levels and its values, which are codes of a dictionary or stand there as they are.
//!
//! Encodings: apache/parquet-format:Encodings.md, PLAIN and RLE_DICTIONARY; [`Hybrid`] reads the numbers of both levels and
//! codes.

use crate::error::Result;
use crate::flow::{Wide, wide};
use crate::forms::columns::chunk::{damaged, short};
use crate::forms::columns::entries::Entries;
use crate::forms::columns::hybrid::Hybrid;
use crate::forms::columns::schema::Leaf;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};

/// The page in hand.
#[derive(Default)]
pub(super) struct Open {
    pub(super) left: usize,
    pub(super) levels: Option<Hybrid>,
    pub(super) values: Values,
}

#[derive(Default)]
pub(super) enum Values {
    #[default]
    None,
    Codes(Hybrid),
    Plain(Bytes),
}

impl Open {
    /// Passes over the next `count` rows.
    pub(super) fn skip(&mut self, count: usize, leaf: &Leaf) -> Result<()> {
        let mut present = count;
        if let Some(levels) = &mut self.levels {
            let mut runs = Vec::new();
            levels.runs(count, &mut runs).ok_or_else(short)?;
            present = runs.iter().filter(|(l, _)| *l == leaf.max_level).map(|(_, n)| n).sum();
        }
        self.left -= count;
        self.values.skip(present, leaf.physical)
    }

    pub(super) fn new(count: u32, levels: Option<Hybrid>, encoding: Encoding, mut data: Bytes) -> Result<Self> {
        let values = match encoding {
            Encoding::PLAIN => Values::Plain(data),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY if data.is_empty() => Values::None,
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let width = take(&mut data, 1)?.first().copied().unwrap_or(0);
                Values::Codes(Hybrid::new(data, width.into()).ok_or_else(|| damaged("codes of more than 32 bits"))?)
            }
            other => {
                return Err(damaged(format!(
                    "a page in an encoding ({other}) that the footer does not name"
                )));
            }
        };
        Ok(Open {
            left: count as usize,
            levels,
            values,
        })
    }
}

impl Values {
    /// Reads the codes of the next values.
    pub(super) fn read(&mut self, leaf: &Leaf, entries: &mut Entries, codes: &mut [u32]) -> Result<()> {
        match self {
            Values::None if codes.is_empty() => {}
            Values::None => return Err(short()),
            Values::Codes(hybrid) => hybrid.read(codes).ok_or_else(short)?,
            Values::Plain(data) => {
                let first = entries.len();
                plain(data, codes.len(), leaf.physical, leaf.scale, entries)?;
                codes.iter_mut().zip(first..).for_each(|(code, i)| *code = i as u32);
            }
        }
        if !codes.is_empty() && wide(Greatest(codes)) as usize >= entries.len() {
            return Err(damaged("a code beyond the dictionary"));
        }
        Ok(())
    }
}

impl Values {
    /// Passes over the next `count` values.
    fn skip(&mut self, count: usize, physical: Type) -> Result<()> {
        match (self, physical) {
            (Values::Codes(hybrid), _) => hybrid.skip(count).ok_or_else(short),
            (Values::Plain(data), Type::INT32) => take(data, count.saturating_mul(4)).map(drop),
            (Values::Plain(data), Type::INT64) => take(data, count.saturating_mul(8)).map(drop),
            (Values::Plain(data), _) => (0..count).try_for_each(|_| {
                let length = take(data, 4)?.as_ref().try_into().map_or(0, u32::from_le_bytes);
                take(data, length as usize).map(drop)
            }),
            (Values::None, _) if count == 0 => Ok(()),
            (Values::None, _) => Err(short()),
        }
    }
}

/// The greatest of some codes.
struct Greatest<'c>(&'c [u32]);

impl Wide for Greatest<'_> {
    type Found = u32;

    #[inline(always)]
    fn run(self) -> u32 {
        self.0.iter().fold(0, |most, code| most.max(*code))
    }
}

/// Adds `count` plain values to the entries.
pub(super) fn plain(data: &mut Bytes, count: usize, physical: Type, scale: i64, entries: &mut Entries) -> Result<()> {
    match physical {
        Type::INT32 => {
            let raw = take(data, count.saturating_mul(4))?;
            let numbers = raw.as_chunks::<4>().0.iter().map(|n| i64::from(i32::from_le_bytes(*n)));
            push_scaled(numbers, scale, entries);
        }
        Type::INT64 => {
            let raw = take(data, count.saturating_mul(8))?;
            push_scaled(
                raw.as_chunks::<8>().0.iter().map(|n| i64::from_le_bytes(*n)),
                scale,
                entries,
            );
        }
        Type::BYTE_ARRAY => {
            // Every value takes its length at least: a stated number makes no room by itself.
            let mut values = Vec::with_capacity(count.min(data.len() / 4));
            let mut at = 0;
            for _ in 0..count {
                let length = data.get(at..at + 4).ok_or_else(short)?;
                let length = u32::from_le_bytes(length.try_into().map_err(damaged)?) as usize;
                values.push(data.get(at + 4..at + 4 + length).ok_or_else(short)?);
                at += 4 + length;
            }
            entries.push_texts(&values);
            *data = data.slice(at.min(data.len())..);
        }
        _ => return Err(damaged("a type that no field has")),
    }
    Ok(())
}

fn push_scaled(numbers: impl Iterator<Item = i64> + Clone, scale: i64, entries: &mut Entries) {
    match scale {
        1 => entries.push_numbers(numbers),
        _ => entries.push_numbers(numbers.map(|n| n / scale)),
    }
}

pub(super) fn take(data: &mut Bytes, count: usize) -> Result<Bytes> {
    if count > data.len() {
        return Err(short());
    }
    Ok(data.split_to(count))
}
