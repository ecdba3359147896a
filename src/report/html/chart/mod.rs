//! Pictures as inline SVG that keeps its letters' size at every width.
//!
//! Positions across are percentages, so that a picture fits a phone and a wall without a script and without scaling its
//! text; only shapes that may stretch stand in an inner, stretched coordinate system. Each picture has a title, a
//! description and a table with its numbers behind it. Crates that draw charts scale text with the picture, want styles
//! that the page's policy forbids, or have no keeper; what is needed here are two scales and rectangles.

pub(super) mod egress;
pub(super) mod lanes;
pub(super) mod ledger;
pub(super) mod matrix;
pub(super) mod places;
mod scale;

use maud::{Markup, html};

use crate::net::human_bytes;
use scale::Amounts;

/// A picture and what stands around it.
struct Picture {
    /// Unique on the page.
    id: String,
    /// What it shows, above it.
    caption: String,
    /// The same for those who cannot see it.
    description: String,
    /// In pixels.
    height: usize,
    /// What is drawn.
    drawing: Markup,
    /// The numbers.
    table: Markup,
}

impl Picture {
    fn draw(self) -> Markup {
        let (title, desc) = (format!("{}-t", self.id), format!("{}-d", self.id));
        html! {
            figure {
                figcaption { (self.caption) }
                svg.chart width="100%" height=(self.height) role="img" aria-labelledby={ (title) " " (desc) } {
                    title id=(title) { (self.caption) }
                    desc id=(desc) { (self.description) }
                    (self.drawing)
                }
                details.numbers {
                    summary { "The numbers" }
                    div.scroll { (self.table) }
                }
            }
        }
    }
}

/// One bar of a list of bars.
struct Bar {
    label: String,
    /// Smaller, behind the label.
    note: String,
    /// None where nothing is known.
    amount: Option<u128>,
    /// True for what an incident is about, or a list warns of.
    marked: bool,
}

/// Height of a bar with its label, in pixels.
const BAR: usize = 40;

/// Longest label that fits a phone beside an amount, and beside words in its place.
const LABEL: usize = 36;
const BESIDE_WORDS: usize = 34;

/// Bars below each other, each under its label.
fn bars(all: &[Bar]) -> Markup {
    let most = all.iter().filter_map(|b| b.amount).max().unwrap_or(0);
    let scale = Amounts::linear(most);
    html! {
        @for (n, bar) in all.iter().enumerate() {
            @let y = n * BAR;
            @let room = if bar.amount.is_some() { LABEL } else { BESIDE_WORDS };
            text.label x="0" y=(y + 15) {
                (cut(&bar.label, room))
                @if !bar.note.is_empty() && bar.label.chars().count() + 4 < room { tspan.note dx="8" { (cut(&bar.note, room.saturating_sub(bar.label.chars().count()))) } }
            }
            @match bar.amount {
                Some(amount) => {
                    text.value x="100%" y=(y + 15) text-anchor="end" { (human_bytes(amount)) }
                    rect.track x="0" y=(y + 21) width="100%" height="9" rx="2" {}
                    rect class=(if bar.marked { "bar marked" } else { "bar" }) x="0" y=(y + 21)
                        width=(share(scale.at(amount))) height="9" rx="2" {}
                }
                None => {
                    text.value x="100%" y=(y + 15) text-anchor="end" { "not observable" }
                    rect.unknown x="0.1%" y=(y + 21) width="99.8%" height="9" rx="2" {}
                }
            }
        }
    }
}

/// A share of the width.
fn share(of: f64) -> String {
    format!("{:.2}%", 100.0 * of.clamp(0.0, 1.0))
}

/// At most so many characters, with a sign that there were more.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// A table of text: the first column names, the others numbers.
fn table(head: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        table {
            thead { tr { @for h in head { th { (h) } } } }
            tbody {
                @for row in rows {
                    tr { @for cell in row { td { (cell) } } }
                }
            }
        }
    }
}
