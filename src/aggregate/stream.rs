//! What [`finish`](super::finish::finish) decides, for sums that went to disk: cell after cell, as often as it takes to learn
//! what only the whole can tell.
//!
//! Where no cell needs another one, each is handed on as it comes back from disk. The others are written once more, each key
//! once, and the [rules](super::rules) are learned in passes over them. What is learned is about interfaces, their addresses and
//! hours, and is kept in memory.

use crate::aggregate::cells::{Kinds, Lean, LeanKey};
use crate::aggregate::counter::{Counter, Places};
use crate::aggregate::key::{Cell, FlowKey, Grain};
use crate::aggregate::parted::Parted;
use crate::aggregate::rules::{LeftOut, Rules};
use crate::aggregate::spill::{Extent, Packed, Room, Spool, pack_cell, unpack_cell};
use crate::aggregate::table::Interface;
use crate::error::Result;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Takes cells whose directions and roles are decided, and whether each is all of its group; interfaces are numbers in a list
/// sorted by id.
pub(super) type Taker<'t> = &'t mut dyn FnMut(&[Interface], &FlowKey, &Cell, bool);

/// Hands out every cell that counts, and returns the interfaces, and what was left out. `groups` is true if a cell that needs
/// no other is a group of the answer; `room` is for what is learned.
///
/// # Errors
/// `Output` if the disk failed.
pub(super) fn stream<P: Places>(
    mut counter: Counter<'_, P>,
    (places, grain): (&P, &Grain),
    groups: bool,
    (spool, room): (&Arc<Spool>, &Room),
    take: Taker<'_>,
) -> Result<(Vec<Interface>, LeftOut)> {
    counter.flush();
    let (interfaces, order) = counter.interfaces.sorted();
    let placed = |key: FlowKey| FlowKey {
        interface: order.get(key.interface as usize).copied().unwrap_or(u32::MAX),
        ..key
    };
    let alone = if groups { counter.alone() } else { Kinds::default() };
    counter
        .cells()
        .drain(alone, |key, cell| take(&interfaces, &placed(key), &cell, true));
    // What is left shares the memory with what becomes of it.
    counter.write_out();
    let mut left_out = LeftOut::default();
    if counter.is_plain() && !grain.port {
        counter.cells().drain(alone.others(), |key, cell| {
            take(&interfaces, &placed(key), &cell, false)
        });
    } else {
        let mut settled = Settled::new(spool.clone());
        counter
            .cells()
            .drain(alone.others(), |key, cell| settled.push(&placed(key), &cell));
        settled.write();
        spool.check()?;
        left_out = settled.decide((places, grain), &interfaces, room, take);
    }
    spool.check()?;
    Ok((interfaces, left_out))
}

/// Cells on disk, each key once.
struct Settled {
    spool: Arc<Spool>,
    lean: Vec<u8>,
    wide: Vec<u8>,
    written: Vec<(bool, Extent)>,
}

/// Bytes that are written at once.
const CHUNK: usize = 1 << 20;

impl Settled {
    fn new(spool: Arc<Spool>) -> Self {
        Settled {
            spool,
            lean: Vec::with_capacity(CHUNK),
            wide: Vec::new(),
            written: Vec::new(),
        }
    }

    fn push(&mut self, key: &FlowKey, cell: &Cell) {
        match LeanKey::of(key).and_then(|key| Lean::of(key, cell)) {
            Some(lean) => lean.pack(&mut self.lean),
            None => {
                key.pack(&mut self.wide);
                pack_cell(cell, &mut self.wide);
            }
        }
        if self.lean.len() + self.wide.len() >= CHUNK {
            self.write();
        }
    }

    fn write(&mut self) {
        for (is_lean, bytes) in [(true, &mut self.lean), (false, &mut self.wide)] {
            if !bytes.is_empty() {
                self.written.push((is_lean, self.spool.write(bytes)));
                bytes.clear();
            }
        }
    }

    fn decide<P: Places>(
        &self,
        (places, grain): (&P, &Grain),
        interfaces: &[Interface],
        room: &Room,
        take: Taker<'_>,
    ) -> LeftOut {
        let own = BTreeSet::new();
        let cells: &dyn Parted = self;
        let rules = Rules::learn(cells, (places, grain), (interfaces, &own), room);
        let mut left_out = LeftOut::default();
        cells.each(&mut |key, cell| {
            if let Some(key) = rules.decide(places, key, cell, &mut left_out) {
                take(interfaces, &key, cell, false);
            }
        });
        left_out
    }
}

/// One part: several threads would hold several pieces of the disk in memory.
impl Parted for Settled {
    fn parts(&self) -> usize {
        1
    }

    fn show(&self, _: usize, f: &mut dyn FnMut(&FlowKey, &Cell)) {
        let mut bytes = Vec::new();
        for (is_lean, extent) in &self.written {
            self.spool.read(*extent, &mut bytes);
            if *is_lean {
                for lean in bytes.chunks_exact(<Lean>::BYTES).map(<Lean>::unpack) {
                    f(&lean.key.key(), &lean.cell());
                }
                continue;
            }
            let mut from = bytes.as_slice();
            while !from.is_empty() {
                f(&FlowKey::unpack(&mut from), &unpack_cell(&mut from));
            }
        }
    }
}
