//! Titled tables as a page of the report's look: case cards.
//!
//! The same policy, style sheet and escaping as the report's; wide tables scroll inside of their frame, not the page.

use std::io::{self, Write};

use maud::{Markup, html};

use crate::net::printable;
use crate::report::story::words::sentence;
use crate::report::{Cell, Grid};

/// A titled part of a sheet.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'l> {
    /// Title.
    pub title: &'l str,
    /// Sentences before the table.
    pub lines: &'l [String],
    /// The table, if there is one.
    pub grid: Option<&'l Grid>,
}

/// Writes cards, each with its parts; the first part of a card is its head.
///
/// # Errors
/// Those of `out`.
pub fn sheet(what: &str, cards: &[Vec<Leaf<'_>>], out: &mut dyn Write) -> io::Result<()> {
    let body = html! {
        @match cards {
            [one] => (card(what, one)),
            all => {
                header.cover { h1 { (all.len()) " " (what) "s" } }
                @for one in all { (card(what, one)) }
            }
        }
    };
    let page = super::frame_of(what, body);
    out.write_all(page.into_string().as_bytes())?;
    out.write_all(b"\n")
}

fn card(what: &str, leaves: &[Leaf<'_>]) -> Markup {
    let Some((head, rest)) = leaves.split_first() else {
        return html! {};
    };
    html! {
        header.cover {
            p.eyebrow { (what) }
            h1.key-name { (safe(head.title)) }
            (lines(head))
        }
        main {
            @for leaf in rest {
                section {
                    h2 { (sentence(&safe(leaf.title))) }
                    (lines(leaf))
                    @if let Some(grid) = leaf.grid { (table(grid)) }
                }
            }
        }
    }
}

fn lines(leaf: &Leaf<'_>) -> Markup {
    html! {
        @if !leaf.lines.is_empty() {
            ul.reasons { @for line in leaf.lines { li { (safe(line)) } } }
        }
    }
}

fn table(grid: &Grid) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for c in &grid.columns { th { (safe(&c.replace('_', " "))) } } } }
                tbody {
                    @for row in &grid.rows {
                        tr { @for cell in row { td.number[cell.is_number()] { (shown(cell)) } } }
                    }
                }
            }
        }
    }
}

fn shown(cell: &Cell) -> String {
    cell.for_people()
}

fn safe(text: &str) -> String {
    printable(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_key_is_only_words() {
        let mut grid = Grid::new(&["a_b"]);
        grid.rows.push(vec![Cell::Text("<img src=x>\u{202e}".to_owned())]);
        let lines = ["\"><b>".to_owned()];
        let leaves = vec![
            Leaf {
                title: "<script>",
                lines: &lines,
                grid: None,
            },
            Leaf {
                title: "t",
                lines: &[],
                grid: Some(&grid),
            },
        ];
        let mut out = Vec::new();
        sheet("case card", &[leaves], &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        assert!(page.contains("&lt;script&gt;") && page.contains("&quot;&gt;&lt;b&gt;"));
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
        assert!(page.contains("<th>a b</th>"));
    }
}
