//! Which record was the first of a row? For rows whose sums were made before, from the few files that hold their records.
//!
//! Those files are counted once more, as ever; what the whole archive taught decides which row each of the cells belongs to.

use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{FlowKey, hour_bucket};
use crate::aggregate::parted::Parted;
use crate::aggregate::rules::{LeftOut, Rules};
use crate::aggregate::table::{Direction, EgressTable, Role, Row};
use crate::net::Addr;
use std::collections::{BTreeMap, BTreeSet};

/// Task and line of the first record of each of some rows, in the run of `counter`.
pub type Samples = BTreeMap<u32, (u32, u64)>;

/// What is looked for.
#[derive(Debug)]
pub struct Asked<'t> {
    /// The table of the whole archive.
    pub table: &'t EgressTable,
    /// The rules that made it.
    pub rules: &'t Rules,
    /// Numbers of rows.
    pub rows: &'t BTreeSet<u32>,
    /// By flow log of `counter`'s run, its number in that of the table.
    pub logs: &'t [u16],
}

/// Interface, hour, both ends, port, protocol, direction and role.
type Place = (u32, u32, Addr, Addr, u16, u8, Direction, Role);

/// The first records of rows, among those that `counter` counted: all records of these rows' interfaces, hours and far ends.
pub fn samples<P: Places>(mut counter: Counter<'_, P>, places: &P, asked: &Asked<'_>) -> Samples {
    counter.seal();
    let (interfaces, order) = counter.interfaces.sorted();
    let number = |id: &str| asked.table.interfaces.binary_search_by(|i| i.id.as_str().cmp(id));
    let known: Vec<Option<usize>> = interfaces.iter().map(|i| number(&i.id).ok()).collect();
    let interface = |met: u32| {
        let sorted = order.get(met as usize)?;
        u32::try_from((*known.get(*sorted as usize)?)?).ok()
    };
    let row = |n: &u32| Some((place_of_row(asked.table, asked.table.rows.get(*n as usize)?), *n));
    let wanted: BTreeMap<Place, u32> = asked.rows.iter().filter_map(row).collect();
    let mut found = Samples::new();
    let cells: &dyn Parted = counter.cells();
    cells.each(&mut |key, cell| {
        let Some(interface) = interface(key.interface) else {
            return;
        };
        let log = asked.logs.get(usize::from(key.log)).copied().unwrap_or(0);
        let key = FlowKey { interface, log, ..*key };
        let key = asked.rules.decide(places, &key, cell, &mut LeftOut::default());
        if let Some(row) = key.and_then(|key| wanted.get(&place_of(&key)?)) {
            let first = found.entry(*row).or_insert(cell.sample);
            *first = cell.sample.min(*first);
        }
    });
    found
}

fn place_of_row(table: &EgressTable, row: &Row) -> Place {
    (
        row.interface,
        hour_bucket(row.hour),
        row.local,
        table.peer(row).addr,
        row.port,
        row.protocol,
        row.direction,
        row.role,
    )
}

fn place_of(key: &FlowKey) -> Option<Place> {
    Some((
        key.interface,
        key.hour,
        key.local,
        key.peer,
        key.port,
        key.protocol,
        key.sides.direction()?,
        key.sides.role(),
    ))
}
