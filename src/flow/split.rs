//! A line of any shape to its fields: the grammar, in nom, of everything that the fast path gives back.
//!
//! Counting rule 2 of the design: fields are separated by runs of spaces, none stands at an edge, and a line has exactly as
//! many as its format.

use crate::flow::record::{Fault, Reason};
use nom::bytes::complete::{take_till1, take_while1};
use nom::{IResult, Parser};

/// Splits a line at runs of spaces into exactly `count` tokens.
pub(super) fn split<'b>(line: &'b [u8], tokens: &mut Vec<&'b [u8]>, count: usize) -> Result<(), Fault> {
    let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    if blank(line.first()) || blank(line.last()) {
        return Err(Fault::line(Reason::BlankAtEdge));
    }
    let mut rest = line;
    while tokens.len() < count {
        let Ok((after, token)) = token(rest) else {
            return Err(Fault::line(Reason::FieldCount));
        };
        tokens.push(token);
        let Ok((next, _)) = separator(after) else {
            rest = after;
            break;
        };
        rest = next;
    }
    if tokens.len() == count && rest.is_empty() {
        Ok(())
    } else {
        Err(Fault::line(Reason::FieldCount))
    }
}

#[inline]
fn token(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_till1(|b| b == b' ').parse(i)
}

#[inline]
fn separator(i: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|b| b == b' ').parse(i)
}
