//! Many states as one: read side by side, each key once, in order; memory grows with their number and not with their size.
//!
//! A state that holds nothing but files of another adds nothing and is left out: a task that ran twice, a state given
//! twice. States that share some files are refused, since sums do not say which file they came from. Other files with one
//! content are copies, and count once (`overlap.rs`).

use crate::aggregate::key::Cell;
use crate::aggregate::raw::{BLOCK, BlockWriter, FlowState, Numbers, RawEntry, RawKey, TakeBlock, fold_states};
use crate::error::{Error, Result};
use crate::partial::file::{Partial, write};
use crate::partial::head::{Head, Rules};
use crate::partial::overlap::{Again, Less, without_copies};
use crate::partial::shard;
use crate::trail::TrailState;
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
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
    states: Vec<One>,
    less: Less,
    heap: BinaryHeap<Reverse<(RawKey, usize)>>,
    /// The cell of each state that waits in the heap.
    waiting: Vec<Cell>,
    begun: bool,
}

/// One of several states, in the numbers of the whole.
#[derive(Debug)]
pub struct One {
    partial: Partial,
    numbers: Numbers,
}

impl One {
    /// Its next cell in order; none at the end.
    ///
    /// # Errors
    /// `List`, naming the state, if it is damaged.
    #[inline]
    pub fn next_cell(&mut self) -> Result<Option<RawEntry>> {
        let Some(entry) = self.partial.next_cell()? else {
            return Ok(None);
        };
        let named = self.numbers.of(entry);
        let text = "damaged: a cell names what the state does not have";
        named.map(Some).ok_or_else(|| Error::list(text).at(self.partial.path()))
    }
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
        let states = partials.into_iter().zip(numbers);
        let states: Vec<One> = states.map(|(partial, numbers)| One { partial, numbers }).collect();
        Ok(Folded {
            head,
            flows,
            waiting: vec![Cell::default(); states.len()],
            states,
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
            self.begin()?;
        }
        while let Some((key, mut sum)) = self.least()? {
            while self.heap.peek().is_some_and(|Reverse((next, _))| *next == key) {
                if let Some((_, more)) = self.least()? {
                    sum.add(&more);
                }
            }
            if let Some(cell) = self.less.from(&key, sum) {
                return Ok(Some((key, cell)));
            }
        }
        Ok(None)
    }

    /// The least of the cells that wait; the next one of its state takes its place.
    fn least(&mut self) -> Result<Option<RawEntry>> {
        let Some(mut first) = self.heap.peek_mut() else {
            return Ok(None);
        };
        let Reverse((key, n)) = *first;
        let (Some(one), Some(slot)) = (self.states.get_mut(n), self.waiting.get_mut(n)) else {
            return Ok(None);
        };
        let cell = *slot;
        match one.next_cell()? {
            Some((next, cell)) => {
                *first = Reverse((next, n));
                *slot = cell;
            }
            None => drop(PeekMut::pop(first)),
        }
        Ok(Some((key, cell)))
    }

    fn begin(&mut self) -> Result<()> {
        for (n, one) in self.states.iter_mut().enumerate() {
            if let (Some((key, cell)), Some(slot)) = (one.next_cell()?, self.waiting.get_mut(n)) {
                self.heap.push(Reverse((key, n)));
                *slot = cell;
            }
        }
        Ok(())
    }

    /// The states one by one, whose cells are all of it if those of equal keys are added up, in whatever order; nothing if
    /// something has to be taken out of sums.
    pub fn apart(&mut self) -> Option<Vec<One>> {
        self.less.is_empty().then(|| std::mem::take(&mut self.states))
    }

    /// All trails as one. They stand before the cells.
    ///
    /// # Errors
    /// `List`, naming the state that is damaged.
    pub fn trail(&mut self) -> Result<TrailState> {
        let mut all = TrailState::default();
        for one in &mut self.states {
            all.merge(one.partial.trail()?);
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
        write(&head, flows, &mut |take| self.blocks(take), trail.as_ref(), out)
    }

    fn blocks(&mut self, take: TakeBlock<'_>) -> Result<()> {
        let mut blocks = BlockWriter::new(BLOCK);
        while let Some((key, cell)) = self.next_cell()? {
            blocks.push(&key, &cell, take)?;
        }
        blocks.end(take)
    }
}
