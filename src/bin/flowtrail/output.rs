//! Results to standard output or to a file that appears whole or not at all.

use crate::args::{Format, OutputArgs};
use crate::run;
use anyhow::Context;
use comfy_table::{Cell as Shown, CellAlignment, Table, presets};
use flowtrail::report::{Cell, Grid};
use flowtrail::store::Begun;
use flowtrail::{Error, ErrorKind};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Lets `write` write the result to where the user wants it.
pub(crate) fn to(
    target: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match target {
        Some(path) => to_file(path, write),
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
            write(&mut out).map_err(|e| place(e, "standard output"))?;
            out.flush().context("standard output: cannot be written")
        }
    }
}

/// Says where a write failed; other errors have said where they belong.
fn place(e: anyhow::Error, target: impl Display) -> anyhow::Error {
    let said = format!("{target}: cannot be written");
    // A format of the library's knows no target: it says `-`.
    let unplaced = |e: &&Error| e.position().is_some_and(|p| p.path == Path::new("-"));
    if let Some(ErrorKind::Output(cause)) = e.downcast_ref::<Error>().filter(unplaced).map(Error::kind) {
        return anyhow::Error::new(io::Error::new(cause.kind(), cause.to_string())).context(said);
    }
    if run::is_of_writing(&e) { e.context(said) } else { e }
}

/// Writes beside the target, then renames: a link planted there is replaced, never followed to a file. A device or a pipe
/// is written to as it is.
pub(crate) fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let failed = |e| Error::output(path, e);
    if is_stream(path) {
        let mut out = BufWriter::new(File::options().write(true).open(path).map_err(failed)?);
        write(&mut out).map_err(|e| place(e, path.display()))?;
        return Ok(out.flush().map_err(failed)?);
    }
    let (begun, file) = Begun::create(&beside(path), File::options().write(true)).map_err(failed)?;
    let mut out = BufWriter::new(file);
    write(&mut out).map_err(|e| place(e, path.display()))?;
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.sync_all().map_err(failed)?;
    begun.rename(path).map_err(failed)?;
    sync_folder(path);
    Ok(())
}

/// So that a power cut does not take the name away. Some file systems cannot; the file is whole all the same.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all());
}

/// True for what exists and is neither file nor folder: `/dev/null`, `/dev/stdout`, a named pipe.
fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// A name in the same folder, this process's own; in the folder for temporary files if the target is a device or a pipe.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    if is_stream(path) {
        return std::env::temp_dir().join(name);
    }
    path.with_file_name(name)
}

/// Fails before any work is done if the target's folder is not there to be written.
pub(crate) fn check(target: Option<&Path>) -> anyhow::Result<()> {
    Ok(target.map_or(Ok(()), check_file)?)
}

/// The same of several.
pub(crate) fn check_files<'p>(targets: impl IntoIterator<Item = &'p Option<PathBuf>>) -> flowtrail::Result<()> {
    targets.into_iter().flatten().try_for_each(|path| check_file(path))
}

fn check_file(path: &Path) -> flowtrail::Result<()> {
    if is_stream(path) {
        return Ok(());
    }
    let made = Begun::create(&beside(path), File::options().write(true));
    made.map(drop).map_err(|e| Error::output(path, e))
}

/// Writes a grid to where the user wants it, in the format asked for.
pub(crate) fn grid(args: &OutputArgs, grid: &Grid) -> anyhow::Result<()> {
    to(args.output.as_deref(), |out| write_grid(args.format, grid, out))
}

/// Writes a grid in `format`.
pub(crate) fn write_grid(format: Format, grid: &Grid, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        Format::Table => table(grid, out)?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &grid.objects())?;
            out.write_all(b"\n")?;
        }
        Format::Ndjson => grid.ndjson(out)?,
        Format::Csv => grid.csv(out)?,
        Format::Md => grid.markdown(out)?,
    }
    Ok(())
}

/// For a terminal: aligned, numbers flush right, nothing in it but text.
pub(crate) fn table(grid: &Grid, out: &mut dyn Write) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(grid.columns.iter().map(|c| c.to_uppercase()));
    let numeric = |i: usize| grid.rows.iter().any(|r| r.get(i).is_some_and(Cell::is_number));
    for row in &grid.rows {
        table.add_row(row.iter().enumerate().map(|(i, c)| {
            let align = if numeric(i) {
                CellAlignment::Right
            } else {
                CellAlignment::Left
            };
            Shown::new(c.for_people()).set_alignment(align)
        }));
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// For people a column without any value is noise.
pub(crate) fn without_empty_columns(grid: &Grid) -> Grid {
    let full = |i: &usize| grid.rows.iter().any(|r| r.get(*i).is_some_and(|c| *c != Cell::None));
    let kept: Vec<usize> = (0..grid.columns.len()).filter(full).collect();
    Grid {
        columns: kept.iter().filter_map(|i| grid.columns.get(*i).cloned()).collect(),
        rows: grid
            .rows
            .iter()
            .map(|r| kept.iter().filter_map(|i| r.get(*i).cloned()).collect())
            .collect(),
    }
}
