//! One column of a stretch of lines: several values in an instruction, and what is not plain one by one.
//!
//! The slow functions are the rule for single values ([`value`](crate::flow::value)); the fast ones give up on anything
//! that is not of the usual shape.

use crate::flow::rows::MISSING;
use crate::flow::simd::{Stretch, Values};
use crate::flow::value::{DASH, address, number};
use crate::net::Addr;

/// Numbers of a column of all lines, [`MISSING`] where there is none; lines with a bad one are no longer good.
#[inline(always)]
pub(super) fn numbers<V: Values>(
    values: V,
    s: &Stretch<'_, '_>,
    (column, max, required): (usize, u64, bool),
    out: &mut [u64],
    good: &mut [bool],
) {
    let (fours, rest) = out.as_chunks_mut::<4>();
    let (mut i, mut row) = (column, 0);
    for slots in fours {
        if !values.four_numbers(s, i, max, slots) {
            one_by_one(s, (i, max, required), slots, &mut good[row..]);
        }
        (i, row) = (i + 4 * s.stride(), row + 4);
    }
    one_by_one(s, (i, max, required), rest, &mut good[row..]);
}

#[cold]
#[inline(never)]
fn one_by_one(s: &Stretch<'_, '_>, (from, max, required): (usize, u64, bool), out: &mut [u64], good: &mut [bool]) {
    for (row, (slot, good)) in out.iter_mut().zip(good).enumerate() {
        let token = s.token(from + row * s.stride());
        let n = number(token, max);
        *good &= n.is_some() || token == DASH && !required;
        *slot = n.unwrap_or(MISSING);
    }
}

/// Addresses of a column of all lines; of a missing one the slot is left as it is.
#[inline(always)]
pub(super) fn addresses<V: Values>(
    values: V,
    s: &Stretch<'_, '_>,
    (column, required): (usize, bool),
    out: &mut [Addr],
    good: &mut [bool],
) {
    let (twos, rest) = out.as_chunks_mut::<2>();
    let (mut i, mut row) = (column, 0);
    for slots in twos {
        match values.two_addresses(s, i) {
            Some(a) => *slots = [Addr::v4(a[0]), Addr::v4(a[1])],
            None => each_address(values, s, (i, required), slots, &mut good[row..]),
        }
        (i, row) = (i + 2 * s.stride(), row + 2);
    }
    each_address(values, s, (i, required), rest, &mut good[row..]);
}

#[inline(always)]
fn each_address<V: Values>(
    values: V,
    s: &Stretch<'_, '_>,
    (from, required): (usize, bool),
    out: &mut [Addr],
    good: &mut [bool],
) {
    for (row, (slot, good)) in out.iter_mut().zip(good).enumerate() {
        let i = from + row * s.stride();
        match values.one_address(s, i) {
            Some(a) => *slot = a,
            None => plain_address(s, (i, required), slot, good),
        }
    }
}

#[inline(never)]
fn plain_address(s: &Stretch<'_, '_>, (i, required): (usize, bool), slot: &mut Addr, good: &mut bool) {
    let token = s.token(i);
    match address(token) {
        Some(a) => *slot = a,
        None => *good &= token == DASH && !required,
    }
}
