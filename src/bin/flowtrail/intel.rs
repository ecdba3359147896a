//! `flowtrail intel`: the lists in use.

use crate::args::{Format, IntelArgs};
use crate::{output, run};
use flowtrail::intel::{Intel, IntelOptions, ListInfo, describe};
use flowtrail::report::{Cell, Grid};

/// Runs the command.
pub(crate) fn run(args: &IntelArgs) -> anyhow::Result<u8> {
    output::check(args.out.output.as_deref())?;
    let intel = Intel::survey(&IntelOptions {
        whole: true,
        ..args.lists.options()
    });
    match args.out.format {
        Format::Json => output::to(args.out.output.as_deref(), |out| {
            serde_json::to_writer_pretty(&mut *out, &describe(&intel))?;
            Ok(writeln!(out)?)
        })?,
        _ => output::grid(&args.out, &grid(intel.lists()))?,
    }
    if !args.out.quiet {
        intel.lists().iter().for_each(complain);
    }
    let bad = intel.lists().iter().any(|l| l.file_error.is_some());
    Ok(if bad { run::USAGE } else { run::DONE })
}

/// Says on stderr what is wrong with a list, and what its reader should know.
fn complain(list: &ListInfo) {
    for warning in &list.warnings {
        run::warn(&format!("warning: {warning}"));
    }
    if let Some(reason) = &list.file_error {
        run::warn(&format!("error: {}: {reason}", list.source));
    }
}

fn grid(lists: &[ListInfo]) -> Grid {
    let mut grid = Grid::new(&[
        "list", "kind", "status", "date", "entries", "rejected", "sha256", "source",
    ]);
    for l in lists {
        let status = if l.file_error.is_some() {
            "error"
        } else {
            l.status.as_str()
        };
        let text = |t: &Option<String>| t.clone().map_or(Cell::None, Cell::Text);
        grid.rows.push(vec![
            Cell::Text(l.name.clone()),
            Cell::Text(l.kind.as_str().into()),
            Cell::Text(status.into()),
            text(&l.date),
            l.entries.map_or(Cell::None, |n| Cell::Count(n.into())),
            Cell::Count(l.rejected.into()),
            l.sha256
                .as_deref()
                .map_or(Cell::None, |s| Cell::Text(s.chars().take(12).collect())),
            Cell::Text(l.source.clone()),
        ]);
    }
    grid
}
