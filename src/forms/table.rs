//! What the AWS CLI prints with `--output table`: boxes drawn with dashes, plus signs and bars.
//!
//! Rows stand between bars. Either a row of names says in which column the messages are, or, in a narrow window, each row
//! is a name and its value. Everything else in the boxes (tokens, times) is passed over.

use crate::forms::lines::Place;
use crate::forms::{Decoder, Out};

/// Reads boxes line by line.
#[derive(Default)]
pub(super) struct Table {
    open: Vec<u8>,
    at: Place,
    /// Column of the messages and number of columns, once a row of names was met.
    header: Option<(usize, usize)>,
}

/// True if a line of dashes is followed by a line between bars.
pub(super) fn tells(start: &[u8]) -> bool {
    let mut lines = start.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let ruled = lines
        .next()
        .is_some_and(|l| l.len() > 2 && l.iter().all(|b| *b == b'-'));
    ruled && lines.next().is_some_and(|l| l.starts_with(b"|") && l.ends_with(b"|"))
}

impl Decoder for Table {
    fn feed(&mut self, bytes: &[u8], out: &mut Out) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let room = crate::flow::lines::LINE_CAP.saturating_sub(self.open.len());
            self.open.extend_from_slice(piece.get(..room).unwrap_or(piece));
            self.at.byte += piece.len() as u64;
            if piece.ends_with(b"\n") {
                self.line(out);
            }
        }
    }

    fn finish(&mut self, whole: bool, out: &mut Out) {
        if whole {
            self.line(out);
        }
    }
}

impl Table {
    fn line(&mut self, out: &mut Out) {
        let line = std::mem::take(&mut self.open);
        self.at.line += 1;
        let place = Place {
            line: self.at.line,
            byte: self.at.byte.saturating_sub(line.len() as u64),
        };
        let line = line.trim_ascii();
        let bare = |b: &u8| *b == b'|';
        let (Some(from), Some(to)) = (line.iter().position(|b| !bare(b)), line.iter().rposition(|b| !bare(b))) else {
            return;
        };
        if !line.starts_with(b"|") || line.get(from) == Some(&b'+') {
            return;
        }
        let inner = line.get(from..=to).unwrap_or_default();
        let cells: Vec<&[u8]> = inner.split(bare).map(<[u8]>::trim_ascii).collect();
        let message = cells.iter().position(|c| *c == b"message" || *c == b"@message");
        match (message, self.header) {
            (Some(0), None) if cells.len() == 2 && !is_name(cells.get(1).copied()) => {
                cells.iter().skip(1).for_each(|c| out.line(c, place));
            }
            (Some(column), _) if cells.iter().all(|c| is_name(Some(c))) => self.header = Some((column, cells.len())),
            (_, Some((column, count))) if cells.len() == count => {
                cells.iter().skip(column).take(1).for_each(|c| out.line(c, place));
            }
            _ => {}
        }
    }
}

/// A column's name as the CLI prints it.
fn is_name(cell: Option<&[u8]>) -> bool {
    cell.is_some_and(|c| !c.is_empty() && c.iter().all(|b| b.is_ascii_alphabetic() || *b == b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: &str = "\
---------------------------------------------
|               GetLogEvents                |
+--------------------+----------------------+
|  nextBackwardToken |  b/1                 |
+--------------------+----------------------+
||                 events                  ||
|+---------------+-------------+-----------+|
|| ingestionTime |   message   | timestamp ||
|+---------------+-------------+-----------+|
||  1            |  2 1 eni-1  |  1        ||
||  1            |  2 2 eni-2  |  1        ||
|+---------------+-------------+-----------+|
";
    const NARROW: &str = "\
------------------
|  GetLogEvents  |
+----------------+
||    events    ||
|+--------------+|
||  message  |  2 1 eni-1 ||
||  timestamp|  1 ||
|+--------------+|
||  message  |  2 2 eni-2 ||
";

    #[test]
    fn both_shapes_of_the_box_are_read() {
        for (text, places) in [(WIDE, [10, 11]), (NARROW, [6, 9])] {
            assert!(tells(text.as_bytes()));
            for step in [1, 13, 9_999] {
                let (mut table, mut out) = (Table::default(), Out::default());
                text.as_bytes().chunks(step).for_each(|c| table.feed(c, &mut out));
                table.finish(true, &mut out);
                assert_eq!(out.text(), "2 1 eni-1\n2 2 eni-2\n");
                assert_eq!(out.places().iter().map(|p| p.0).collect::<Vec<_>>(), places);
            }
        }
    }
}
