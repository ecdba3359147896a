//! Many states as one: read side by side, each key once, in order; memory grows with their number and not with their size.
//!
//! A state that holds nothing but files of another adds nothing and is left out: a task that ran twice, a state given
//! twice. States that share some files are refused, since sums do not say which file they came from. Other files with one
//! content are copies, and count once (`overlap.rs`).

use crate::aggregate::key::Cell;
use crate::aggregate::raw::{FlowState, Numbers, RawEntry, RawKey, fold_states};
use crate::error::{Error, Result};
use crate::partial::file::{Partial, write};
use crate::partial::head::{Head, Rules};
use crate::partial::overlap::{Again, Less, without_copies};
use crate::partial::shard;
use crate::trail::TrailState;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io::Write;
use std::path::PathBuf;

/// States that may be folded.
#[derive(Debug)]
pub struct Fold {
    partials: Vec<Partial>,
    /// States that were left out, since they add nothing.
    pub left_out: Vec<PathBuf>,
}

/// Several states as one.
#[derive(Debug)]
pub struct Folded {
    /// Rules and parts of all.
    pub head: Head,
    /// Files, flow logs, interfaces and counts of all.
    pub flows: FlowState,
    partials: Vec<Partial>,
    numbers: Vec<Numbers>,
    less: Less,
    heap: BinaryHeap<Reverse<(RawKey, usize)>>,
    /// The cell of each state that waits in the heap.
    waiting: Vec<Option<Cell>>,
    begun: bool,
}

impl Fold {
    /// Opens states, and decides which of them count.
    ///
    /// # Errors
    /// `List` for a file that is no state, or damaged; `Usage` if states were read by different rules, or share files.
    pub fn open(paths: &[PathBuf]) -> Result<Fold> {
        let all: Vec<Partial> = paths.iter().map(|p| Partial::open(p)).collect::<Result<_>>()?;
        if let Some((first, others)) = all.split_first() {
            for other in others {
                let agrees = first.head.rules.agree(&other.head.rules);
                agrees.map_err(|e| Error::usage(e.reason()).at(other.path()))?;
            }
        }
        let mut order: Vec<Partial> = all;
        // Stable: of two with the same files the first stays.
        order.sort_by_key(|p| Reverse(p.flows.files.len() + p.head.trail_files.len()));
        let mut fold = Fold {
            partials: Vec::new(),
            left_out: Vec::new(),
        };
        let mut known: BTreeSet<(bool, String, u64)> = BTreeSet::new();
        for partial in order {
            let files = files_of(&partial);
            let shared = files.intersection(&known).count();
            let adds_parts = fold
                .partials
                .iter()
                .all(|p| !p.head.parts.is_superset(&partial.head.parts));
            if shared == files.len() && !(files.is_empty() && adds_parts) {
                fold.left_out.push(partial.path().to_path_buf());
                continue;
            }
            if shared > 0 {
                return Err(Error::usage(format!(
                    "{shared} of its {} files are in another of these states too: they would count twice; fold states of \
                     different files",
                    files.len()
                ))
                .at(partial.path()));
            }
            known.extend(files);
            fold.partials.push(partial);
        }
        Ok(fold)
    }

    /// How the files of all of them were read.
    pub fn rules(&self) -> Option<Rules> {
        self.partials.first().map(|p| p.head.rules.clone())
    }

    /// Says whether every shard is there.
    ///
    /// # Errors
    /// `Usage`, naming one that is missing.
    pub fn whole(&self) -> Result<()> {
        let parts: BTreeSet<_> = self.partials.iter().flat_map(|p| p.head.parts.iter()).collect();
        shard::whole(parts.into_iter())
    }

    /// Folds them; `again` reads a file once more, where a copy of its content is in another state.
    ///
    /// # Errors
    /// `Usage` if such a file cannot be read any more.
    pub fn fold(self, again: Again<'_>) -> Result<Folded> {
        let mut partials = self.partials;
        let states: Vec<FlowState> = partials.iter_mut().map(|p| std::mem::take(&mut p.flows)).collect();
        let head = Head::of_all(partials.iter().map(|p| &p.head));
        let (mut flows, numbers) = fold_states(states);
        let less = without_copies(&mut flows, &numbers, again)?;
        Ok(Folded {
            head,
            flows,
            waiting: vec![None; partials.len()],
            partials,
            numbers,
            less,
            heap: BinaryHeap::new(),
            begun: false,
        })
    }
}

fn files_of(p: &Partial) -> BTreeSet<(bool, String, u64)> {
    let flows = p.flows.files.iter().map(|f| (false, f.path.clone(), f.size));
    let trail = p.head.trail_files.iter();
    let trail = trail.map(|s| (true, s.path.to_string_lossy().into_owned(), s.size));
    flows.chain(trail).collect()
}

impl Folded {
    /// The next cell in order, each key once; none at the end.
    ///
    /// # Errors
    /// `List`, naming the state that is damaged.
    pub fn next_cell(&mut self) -> Result<Option<RawEntry>> {
        if !self.begun {
            self.begun = true;
            (0..self.partials.len()).try_for_each(|n| self.advance(n))?;
        }
        while let Some(Reverse((key, n))) = self.heap.pop() {
            let mut sum = self.taken(n)?;
            while let Some(Reverse((next, other))) = self.heap.peek().copied() {
                if next != key {
                    break;
                }
                self.heap.pop();
                let more = self.taken(other)?;
                if let (Some(sum), Some(more)) = (&mut sum, more) {
                    sum.add(&more);
                }
            }
            if let Some(cell) = sum.and_then(|cell| self.less.from(&key, cell)) {
                return Ok(Some((key, cell)));
            }
        }
        Ok(None)
    }

    /// The cell of a state that waited; its next one takes its place.
    fn taken(&mut self, n: usize) -> Result<Option<Cell>> {
        let cell = self.waiting.get_mut(n).and_then(Option::take);
        self.advance(n)?;
        Ok(cell)
    }

    fn advance(&mut self, n: usize) -> Result<()> {
        let (Some(partial), Some(numbers)) = (self.partials.get_mut(n), self.numbers.get(n)) else {
            return Ok(());
        };
        let Some(entry) = partial.next_cell()? else {
            return Ok(());
        };
        let text = "damaged: a cell names what the state does not have";
        let (key, cell) = numbers.of(entry).ok_or_else(|| Error::list(text).at(partial.path()))?;
        if let Some(slot) = self.waiting.get_mut(n) {
            *slot = Some(cell);
        }
        self.heap.push(Reverse((key, n)));
        Ok(())
    }

    /// All trails as one. They stand before the cells.
    ///
    /// # Errors
    /// `List`, naming the state that is damaged.
    pub fn trail(&mut self) -> Result<TrailState> {
        let mut all = TrailState::default();
        for partial in &mut self.partials {
            all.merge(partial.trail()?);
        }
        Ok(all)
    }

    /// Writes all of it as one state. One that goes on and on forgets what copies of events that are days old are told
    /// by, as one run over all does.
    ///
    /// # Errors
    /// `List`, naming a state that is damaged; `Io` if `out` fails.
    pub fn write(mut self, forgets: bool, out: &mut dyn Write) -> Result<()> {
        let mut trail = self.head.trail.then(|| self.trail()).transpose()?;
        trail.iter_mut().filter(|_| forgets).for_each(TrailState::forget);
        let (head, state) = (self.head.clone(), std::mem::take(&mut self.flows));
        let flows = Some(&state).filter(|_| head.flows);
        let mut cells = std::iter::from_fn(|| self.next_cell().transpose());
        write(&head, flows, &mut cells, trail.as_ref(), out)
    }
}
