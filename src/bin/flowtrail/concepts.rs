//! `flowtrail help concepts`: the words that every page and every finding uses, on one screen or two.

use crate::{output, run};
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct ConceptsArgs {}

/// The page.
pub(crate) const PAGE: &str = include_str!("concepts.txt");

/// Runs the command.
pub(crate) fn run() -> anyhow::Result<u8> {
    output::to(None, |out| Ok(out.write_all(PAGE.as_bytes())?))?;
    Ok(run::DONE)
}
