//! report: how is it told? One file per format.
//!
//! Whatever is written here comes from logs that attackers may have written: every format has one escaping function of its
//! own, and nothing else reaches the output.

pub mod agreement;
pub mod asff;
pub mod backtest;
pub mod callers;
pub mod calls;
pub mod coverage;
pub mod csv;
pub mod detail;
pub mod document;
pub mod ecs;
pub mod explain;
pub mod grid;
pub mod html;
pub mod json;
pub mod reconcile;
pub mod markdown;
pub mod moments;
pub mod ocsf;
pub mod places;
pub mod requests;
pub mod run;
pub mod shape;
pub mod story;
pub mod subject;
pub mod technique;
pub mod terminal;
pub mod verify;

use std::io::{self, Write};

use serde_json::Value;

use crate::error::{Error, Result};
use document::{Audience, Document};
use story::{Outside, Story};

pub use grid::{Cell, Grid};
pub use run::{Custody, Ledger, Run};

/// The formats that are drawn from a result, in the order of `--help`. A new one is a file with a [`Reporter`], its `mod`
/// line and one line here.
pub const REPORTERS: &[Reporter] = &[
    markdown::REPORTER,
    html::REPORTER,
    csv::REPORTER,
    asff::REPORTER,
    ocsf::REPORTER,
    ecs::REPORTER,
];

/// One format.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    /// Its name, as `--format` has it.
    pub name: &'static str,
    /// What it is, for `--help`.
    pub about: &'static str,
    /// True if people read it: access keys are masked and every text made safe to show before it comes here. Programs get
    /// texts as the logs have them.
    pub for_people: bool,
    /// Writes it. The format's own escaping is its own duty.
    pub write: fn(&Telling<'_>, &mut dyn Write) -> io::Result<()>,
}

/// What a format is told: the result, and the story sorted from it.
#[derive(Debug)]
pub struct Telling<'t> {
    /// The result, typed.
    pub document: &'t Document,
    /// The same, by incident.
    pub story: Story<'t>,
}

/// How a report is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Access key ids whole in formats for people.
    pub show_keys: bool,
    /// Lines from outside the logs.
    pub outside: Vec<Outside>,
    /// Only these incidents, by the start of their ids; all if empty.
    pub only: Vec<String>,
}

/// The format of this name.
pub fn reporter(name: &str) -> Option<&'static Reporter> {
    REPORTERS.iter().find(|r| r.name == name)
}

impl Reporter {
    /// Draws a result (`flowtrail.result/1`).
    ///
    /// # Errors
    /// `Usage` if it is no result or lacks an incident that is wanted; those of `out`.
    pub fn draw(&self, result: Value, wanted: &Wanted, out: &mut dyn Write) -> Result<()> {
        let audience = match self.for_people {
            true => Audience::People {
                show_keys: wanted.show_keys,
            },
            false => Audience::Machines,
        };
        let mut document = Document::read(result, audience)?;
        document.keep(&wanted.only)?;
        let story = Story::of(&document, &wanted.outside, wanted.show_keys);
        let telling = Telling {
            document: &document,
            story,
        };
        (self.write)(&telling, out).map_err(|e| Error::output(std::path::Path::new("-"), e))
    }
}
