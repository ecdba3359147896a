//! Each text once: names become small numbers while counting.
//!
//! Numbers are given in the order of arrival, so they mean nothing outside of one archive; [`super::PrincipalIndex`]
//! sorts the texts when everything is known. The empty text is number 0 and stands for "absent".

use std::sync::Arc;

use hashbrown::HashMap;

/// Texts and their numbers.
#[derive(Debug)]
pub(super) struct Names {
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// The last answer per column: neighbours in a log mostly have the same region, bucket, agent.
    recent: [u32; COLUMNS],
}

/// Columns that remember their last answer.
pub(super) const COLUMNS: usize = 16;

impl Default for Names {
    fn default() -> Self {
        let empty: Arc<str> = Arc::from("");
        Names {
            ids: HashMap::from_iter([(empty.clone(), 0)]),
            texts: vec![empty],
            recent: [0; COLUMNS],
        }
    }
}

impl Names {
    /// The number of a text, new if it has none yet.
    pub(super) fn id(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        let shared: Arc<str> = Arc::from(text);
        self.texts.push(shared.clone());
        self.ids.insert(shared, id);
        id
    }

    /// The number of a text that often is the same as the last one in this column.
    pub(super) fn id_in(&mut self, column: usize, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        match self.recent.get(column) {
            Some(last) if self.text(*last) == text => *last,
            _ => {
                let id = self.id(text);
                if let Some(slot) = self.recent.get_mut(column) {
                    *slot = id;
                }
                id
            }
        }
    }

    /// The text of a number.
    pub(super) fn text(&self, id: u32) -> &str {
        self.texts.get(id as usize).map_or("", |t| t)
    }

    /// All texts, by number.
    pub(super) fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts.iter().map(AsRef::as_ref)
    }

    /// Of two, the one whose text comes first; absent comes last.
    pub(super) fn first(&self, a: u32, b: u32) -> u32 {
        match (a, b) {
            (0, x) | (x, 0) => x,
            _ if a == b || self.text(a) <= self.text(b) => a,
            _ => b,
        }
    }
}
