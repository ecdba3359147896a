//! The investigation report as one HTML page: nothing is loaded, nothing runs, it opens from a mail and prints.
//!
//! Markup is written by `maud`, which escapes every text that is put in; the two exceptions are the doctype and the style
//! sheet, both ours. The policy in the head forbids scripts, images, fonts and every address, and allows one style sheet by
//! its hash, so that even a mistake here would stay inert. Pictures are SVG, drawn when the report is.

mod account;
mod chart;
mod frame;
mod incident;
mod sheet;
mod summary;

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

pub use sheet::{Leaf, sheet};

use super::story::{Fact, Story};
use super::{Reporter, Telling};

/// The registry's line.
pub const REPORTER: Reporter = Reporter {
    name: "html",
    about: "investigation report as one HTML page with pictures",
    for_people: true,
    write,
};

/// The style sheet.
const STYLE: &str = include_str!("style.css");

/// Incidents with pictures; the others are told in words.
const PICTURED: usize = 50;

fn write(telling: &Telling<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(&telling.story).into_string().as_bytes())?;
    out.write_all(b"\n")
}

fn page(story: &Story<'_>) -> Markup {
    let body = html! {
        (summary::cover(story))
        main {
            (summary::summary(story))
            @for case in &story.cases {
                (incident::article(case, case.number <= PICTURED))
            }
            (incident::strangers(story))
            (account::account(story))
            (frame::frame(story))
        }
        footer {
            p { "Drawn by flowtrail " (story.document.run.version) " from its result; times are UTC." }
        }
    };
    frame_of("Investigation report: data leaving AWS", body)
}

/// A whole page: the head with its policy, and a body.
fn frame_of(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content="flowtrail";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// Nothing but the one style sheet, known by its hash.
fn policy() -> String {
    let hash = base64(&Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

/// RFC 4648, section 4; for the hash of a policy.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |n, k| n << 8 | u32::from(chunk.get(k).copied().unwrap_or(0)));
        for k in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * k)) as usize & 63];
            out.push(if k <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Labels and what stands behind them.
fn facts(facts: &[Fact]) -> Markup {
    html! {
        dl.facts {
            @for fact in facts {
                div {
                    dt { (fact.label) }
                    @for line in &fact.lines {
                        dd.name[fact.literal] { (line) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let of = |s: &str| base64(s.as_bytes());
        assert_eq!(
            ["", "f", "fo", "foo", "foob"].map(of),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
        );
    }

    #[test]
    fn the_style_sheet_loads_nothing_and_cannot_end_its_element() {
        for word in ["url(", "@import", "</", "expression", "http"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }
}
