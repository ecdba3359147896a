//! A scan over a store: sums come from it, and the lines that incidents cite from the few raw files that hold them.
//!
//! The store's sums are as fine as a scan's cells, so the table is the one that reading everything gives, but for the first
//! line of each row. Lines matter only where they are cited: there the files are read that hold the row's interface and far
//! end and have records of its hour.

use super::count::{counting, ingest_of};
use super::{Counted, Inputs, Scanned};
use crate::aggregate::samples::{Asked, samples};
use crate::aggregate::{EgressTable, Ingest, Places, Progress, Row, Rules, Sample, Shelf, WithEndpoints, ingest};
use crate::error::{Error, Result};
use crate::incident;
use crate::index::{IndexShelf, Manifest};
use crate::input::{Archive, Family, Source};
use crate::intel::Intel;
use crate::net::HOUR;
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a store holds of an archive, and how its sums were counted.
pub(super) struct Stored {
    pub(super) shelf: Arc<IndexShelf>,
    pub(super) rules: Rules,
}

/// What the store that was named holds of the archive and read by the formats that hold now.
pub(super) fn shelf(inputs: &Inputs, archive: &Archive, ingest: &Ingest) -> Result<Option<Arc<IndexShelf>>> {
    let Some(folder) = &inputs.index else { return Ok(None) };
    let mut manifest = Manifest::open_for(folder, &ingest.formats)?;
    manifest.read_by(&ingest.formats);
    let all = archive.of_all_times(&inputs.flows, Family::FlowLogs, &ingest.remote)?;
    Ok(Some(Arc::new(IndexShelf::new(folder, &manifest, archive, &all, None))))
}

/// The same way of reading, with a shelf.
pub(super) fn with(ingest: &Ingest, shelf: &Arc<IndexShelf>) -> Ingest {
    Ingest {
        shelf: Some(Arc::clone(shelf) as Arc<dyn Shelf>),
        ..ingest.clone()
    }
}

impl Stored {
    /// Finds the lines that may be cited, and chooses among them as if all had been known. Returns how many bytes were read.
    pub(super) fn find_lines(
        &self,
        scanned: &mut Scanned,
        inputs: &Inputs,
        intel: &Intel,
        pool: &ThreadPool,
    ) -> Result<u64> {
        let rows = incident::uncited(&scanned.incidents, &scanned.counted.table);
        if rows.is_empty() {
            return Ok(0);
        }
        let files = self.files(scanned, &rows)?;
        let places = WithEndpoints::new(intel, &scanned.known.inventory);
        let ingest = Ingest {
            rejects: None,
            memory: None,
            ..ingest_of(inputs, &scanned.known)
        };
        let (found, bytes) = self.read((scanned, inputs), &rows, &files, (&places, &ingest), pool)?;
        let table = &mut scanned.counted.table;
        for row in rows {
            let sample = found.get(&row).ok_or_else(changed)?;
            if let Some(row) = table.rows.get_mut(row as usize) {
                row.sample = *sample;
            }
        }
        incident::choose_again(&mut scanned.incidents, &scanned.counted.table);
        Ok(bytes)
    }

    /// The files in which the records of these rows stand: of the store's those that hold the interface and the far end, of
    /// the others all, as far as they have records of the hour.
    fn files(&self, scanned: &Scanned, rows: &BTreeSet<u32>) -> Result<Vec<u32>> {
        let counted = &scanned.counted;
        let hours = Hours::of(counted);
        let mut keys = Keys::default();
        let mut files = BTreeSet::new();
        for row in rows.iter().filter_map(|r| counted.table.rows.get(*r as usize)) {
            let held = keys.holding(&self.shelf, &counted.table, row)?;
            let may = |file: &u32| !self.shelf.holds(*file) || held.contains(file);
            files.extend(hours.with(row.hour).filter(may));
        }
        Ok(files.into_iter().collect())
    }

    /// Reads these files, and tells the first record of each row, and how many bytes they are.
    fn read<P: Places>(
        &self,
        (scanned, inputs): (&Scanned, &Inputs),
        rows: &BTreeSet<u32>,
        files: &[u32],
        (places, options): (&P, &Ingest),
        pool: &ThreadPool,
    ) -> Result<(BTreeMap<u32, Sample>, u64)> {
        let counted = &scanned.counted;
        let mut archive = Archive::default();
        let source = |f: &u32| counted.archive.sources.get(*f as usize);
        archive.sources = files
            .iter()
            .filter_map(source)
            .collect::<Vec<Source>>()
            .into_iter()
            .collect();
        let counting = counting(inputs);
        let (counter, outcome) = ingest(&archive, places, &counting, options, pool, &Progress::default())?;
        let log = |id: &String| counted.outcome.logs.ids.iter().position(|l| l == id).unwrap_or(0) as u16;
        let logs: Vec<u16> = outcome.logs.ids.iter().map(log).collect();
        let asked = Asked {
            table: &counted.table,
            rules: &self.rules,
            rows,
            logs: &logs,
        };
        let found = pool.install(|| samples(counter, places, &asked));
        let there = |sample: (u32, u64)| {
            let Sample { file, line } = outcome.place(sample);
            let file = files.get(file as usize).copied().unwrap_or_default();
            let file = counted.outcome.original(file);
            Sample { file, line }
        };
        let found = found.into_iter().map(|(row, sample)| (row, there(sample)));
        Ok((found.collect(), archive.bytes()))
    }
}

/// When the records of each file were.
struct Hours {
    spans: Vec<(u32, (u64, u64))>,
    /// No record ends before it starts.
    in_order: bool,
}

impl Hours {
    fn of(counted: &Counted) -> Hours {
        let spans = counted.outcome.by_file().filter_map(|f| Some((f.file, f.facts.span?)));
        Hours {
            spans: spans.collect(),
            in_order: counted.stats.anomalies.get("end_before_start").is_none_or(|n| *n == 0),
        }
    }

    /// Files that may have records that start in this hour.
    fn with(&self, hour: u64) -> impl Iterator<Item = u32> + '_ {
        let until = hour.saturating_add(HOUR);
        let meets = move |(first, last): (u64, u64)| first < until && (hour <= last || !self.in_order);
        self.spans
            .iter()
            .filter(move |(_, span)| meets(*span))
            .map(|(file, _)| *file)
    }
}

/// The files of keys that were asked for.
#[derive(Default)]
struct Keys(BTreeMap<String, BTreeSet<u32>>);

impl Keys {
    fn files(&mut self, shelf: &IndexShelf, key: &str) -> Result<&BTreeSet<u32>> {
        if !self.0.contains_key(key) {
            self.0.insert(key.to_owned(), shelf.files_with(key)?);
        }
        Ok(self.0.entry(key.to_owned()).or_default())
    }

    /// The files that hold a row's interface and far end.
    fn holding(&mut self, shelf: &IndexShelf, table: &EgressTable, row: &Row) -> Result<BTreeSet<u32>> {
        let peer = self.files(shelf, &table.peer(row).addr.to_string())?.clone();
        match table.interfaces.get(row.interface as usize).filter(|i| i.id != "-") {
            None => Ok(peer),
            Some(interface) => Ok(self.files(shelf, &interface.id)?.intersection(&peer).copied().collect()),
        }
    }
}

fn changed() -> Error {
    Error::list(
        "a cited record is not where the index says: a file changed while it was read; scan again, or leave out --index",
    )
}
