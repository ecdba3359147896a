//! How the files of a state were read, and which part of an archive they are: what states must agree on to be folded.

use crate::aggregate::Formats;
use crate::error::{Error, Result};
use crate::input::Source;
use crate::net::TimeWindow;
use crate::store::{Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// The first words of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// How its files were read.
    pub rules: Rules,
    /// Which parts of a listing it holds; empty for files that were chosen by hand.
    pub parts: BTreeSet<Part>,
    /// Flow logs were read.
    pub flows: bool,
    /// CloudTrail was read.
    pub trail: bool,
    /// Its files, sorted.
    pub trail_files: Vec<Source>,
}

/// Everything that decides what is counted of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The program's version.
    pub version: String,
    /// Only records that start inside.
    pub window: TimeWindow,
    /// The formats of text without a header, as they were given, by flow log (see [`Formats::describe`]).
    pub formats: BTreeMap<String, String>,
    /// Where unpacking a file stops, in bytes.
    pub max_unpacked: u64,
}

/// One of the shards of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// What identifies the listing: names and sizes of all files.
    pub listing: u128,
    /// Into how many shards it was cut.
    pub of: u32,
    /// Which one, from 1.
    pub number: u32,
}

impl Rules {
    /// The rules of this program.
    pub fn new(window: TimeWindow, formats: &Formats, max_unpacked: u64) -> Self {
        Rules {
            version: env!("CARGO_PKG_VERSION").into(),
            window,
            formats: formats.describe(),
            max_unpacked,
        }
    }

    /// Says what another state was read by that this one was not.
    ///
    /// # Errors
    /// `Usage`, with what differs.
    pub fn agree(&self, other: &Rules) -> Result<()> {
        let times = |r: &Rules| format!("--from {} --to {}", r.window.from, r.window.to);
        let pairs = [
            ("the program's version", self.version.clone(), other.version.clone()),
            ("the time", times(self), times(other)),
            (
                "--max-unpacked",
                self.max_unpacked.to_string(),
                other.max_unpacked.to_string(),
            ),
        ];
        let both = |(log, own): (&String, &String)| {
            let name = format!("the format of text without a header ({log})");
            Some((name, own.clone(), other.formats.get(log)?.clone()))
        };
        let pairs = pairs.into_iter().map(|(name, own, its)| (name.to_owned(), own, its));
        let mut all = pairs.chain(self.formats.iter().filter_map(both));
        match all.find(|(_, own, its)| own != its) {
            None => Ok(()),
            Some((what, own, its)) => Err(Error::usage(format!(
                "read by other rules than the states before it: {what} is {its}, there {own}"
            ))),
        }
    }
}

impl Head {
    /// The head of a state without files.
    pub(super) fn empty() -> Self {
        Head {
            rules: Rules {
                version: String::new(),
                window: TimeWindow::ALL,
                formats: BTreeMap::new(),
                max_unpacked: 0,
            },
            parts: BTreeSet::new(),
            flows: false,
            trail: false,
            trail_files: Vec::new(),
        }
    }

    /// What several states together are.
    pub(super) fn of_all<'h>(mut heads: impl Iterator<Item = &'h Head>) -> Self {
        let Some(first) = heads.next() else {
            return Head::empty();
        };
        let mut all = first.clone();
        for head in heads {
            let formats = head.rules.formats.iter().map(|(log, f)| (log.clone(), f.clone()));
            all.rules.formats.extend(formats);
            all.parts.extend(&head.parts);
            all.flows |= head.flows;
            all.trail |= head.trail;
            all.trail_files.extend(head.trail_files.iter().cloned());
        }
        all.trail_files.sort();
        all
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.text(&self.rules.version);
        w.number(self.rules.window.from);
        w.number(self.rules.window.to);
        w.number(self.rules.formats.len() as u64);
        for (log, format) in &self.rules.formats {
            w.text(log);
            w.text(format);
        }
        w.number(self.rules.max_unpacked);
        w.number(self.parts.len() as u64);
        for part in &self.parts {
            w.wide(part.listing);
            w.number(part.of.into());
            w.number(part.number.into());
        }
        w.number(u64::from(self.flows) << 1 | u64::from(self.trail));
        w.number(self.trail_files.len() as u64);
        for source in &self.trail_files {
            w.text(&source.name);
            w.text(&source.path.to_string_lossy());
            w.number(source.size);
        }
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let version = r.text()?.to_owned();
        let (from, to) = (r.number()?, r.number()?);
        let mut formats = BTreeMap::new();
        for _ in 0..r.number()? {
            formats.insert(r.text()?.to_owned(), r.text()?.to_owned());
        }
        let rules = Rules {
            version,
            window: TimeWindow { from, to },
            formats,
            max_unpacked: r.number()?,
        };
        let mut parts = BTreeSet::new();
        for _ in 0..r.number()? {
            parts.insert(Part {
                listing: r.wide()?,
                of: r.small()?,
                number: r.small()?,
            });
        }
        let logs = r.number()?;
        let mut trail_files = Vec::new();
        for _ in 0..r.number()? {
            trail_files.push(Source {
                name: r.text()?.to_owned(),
                path: r.text()?.into(),
                size: r.count()?,
                object: None,
            });
        }
        Ok(Head {
            rules,
            parts,
            flows: logs & 2 != 0,
            trail: logs & 1 != 0,
            trail_files,
        })
    }
}
