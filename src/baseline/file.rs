//! A baseline as a file: the raw counts, each number as short as it is, deflated, in the frame of the store.
//!
//! Hours, days and names are sorted, so hours are written as distances from the one before, and equal states are equal
//! bytes. Merging never counts a file twice: states that were learned from different files add up, one that was learned
//! from nothing but what another knows adds nothing, and two that share only a part are refused, since raw counts do not
//! say which file they came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::place::{Channel, Day};
use super::state::{Baseline, InterfaceHistory, Seen};
use crate::error::{Error, Result};
use crate::net::HOUR;
use crate::store::{self, Kind, Lock, Reader, Writer};

/// What merging did with each input, in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It was added.
    Added,
    /// Everything that it learned was known.
    Known,
}

impl Baseline {
    /// Reads a baseline.
    ///
    /// # Errors
    /// `List`, naming the file, if it cannot be read, is damaged, or of another version.
    pub fn load(path: &Path) -> Result<Baseline> {
        let content = store::read(Kind::Baseline, path)?;
        Baseline::decode(&content).map_err(|e| Error::list(e.reason()).at(path))
    }

    /// Writes a baseline over the file that the lock guards.
    ///
    /// # Errors
    /// `Output`; the old file is whole.
    pub fn save(&self, lock: &Lock) -> Result<()> {
        let framed = store::pack(Kind::Baseline, &self.encode())?;
        store::replace(lock, &framed)
    }

    /// Merges states, none of whose files is counted twice; any order gives the same.
    ///
    /// # Errors
    /// `Usage` if two share some of the files that they learned, and neither holds all of the other's. `names` are the
    /// states' names for the message.
    pub fn merge_all(states: Vec<Baseline>, names: &[String]) -> Result<(Baseline, Vec<Merged>)> {
        let mut order: Vec<(usize, Baseline)> = states.into_iter().enumerate().collect();
        // The one that knows most first, so that what it holds adds nothing, whatever the order given.
        order.sort_by_cached_key(|(_, b)| (std::cmp::Reverse(b.learned.len()), b.encode()));
        let mut out = Baseline::default();
        let mut done = vec![Merged::Known; order.len()];
        for (index, state) in order {
            let shared = state.learned.intersection(&out.learned).count();
            if shared == state.learned.len() && shared > 0 {
                continue;
            }
            if shared > 0 {
                let name = names.get(index).map_or("", String::as_str);
                return Err(Error::usage(format!(
                    "{name}: {shared} of the {} files that it learned were also learned by another of these baselines: \
                     merging would count them twice; build one baseline from the logs of both",
                    state.learned.len()
                )));
            }
            if let Some(slot) = done.get_mut(index) {
                *slot = Merged::Added;
            }
            out.merge(state);
        }
        Ok((out, done))
    }

    /// The content of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.number(self.learned.len() as u64);
        for (size, hash) in &self.learned {
            w.number(*size);
            w.wide(*hash);
        }
        w.number(self.interfaces.len() as u64);
        for (id, history) in &self.interfaces {
            w.text(id);
            history.encode(&mut w);
        }
        w.number(self.excluded.len() as u64);
        for (id, days) in &self.excluded {
            w.text(id);
            w.number(days.len() as u64);
            for (day, channel) in days {
                w.number(u64::from(*day) * 4 + *channel as u64);
            }
        }
        w.number(self.flagged.len() as u64);
        for (id, places) in &self.flagged {
            w.text(id);
            w.number(places.len() as u64);
            for (place, days) in places {
                w.text(place);
                w.number(days.len() as u64);
                days.iter().for_each(|d| w.number((*d).into()));
            }
        }
        self.encode_verdicts(&mut w);
        w.into_bytes()
    }

    /// What was accepted, and what the alert budget knows.
    fn encode_verdicts(&self, w: &mut Writer) {
        w.number(self.accepted.len() as u64);
        for (id, accepted) in &self.accepted {
            w.text(id);
            w.number(accepted.days.len() as u64);
            for (day, channel) in &accepted.days {
                w.number(u64::from(*day) * 4 + *channel as u64);
            }
            w.number(accepted.places.len() as u64);
            accepted.places.iter().for_each(|p| w.text(p));
        }
        w.number(self.events.len() as u64);
        for (day, events) in &self.events {
            w.number((*day).into());
            w.number(events.len() as u64);
            for (surprise, count) in events {
                w.number((*surprise).into());
                w.number((*count).into());
            }
        }
    }

    fn decode_verdicts(&mut self, r: &mut Reader<'_>) -> Result<()> {
        for _ in 0..r.number()? {
            let accepted = self.accepted.entry(r.text()?.to_owned()).or_default();
            for _ in 0..r.number()? {
                accepted.days.insert(marked(r.number()?)?);
            }
            for _ in 0..r.number()? {
                accepted.places.insert(r.text()?.to_owned());
            }
        }
        for _ in 0..r.number()? {
            let events = self.events.entry(r.small()?).or_default();
            for _ in 0..r.number()? {
                events.insert(r.small()?, r.small()?);
            }
        }
        Ok(())
    }

    /// Reads the content of a file.
    ///
    /// # Errors
    /// `Format` if it is not what [`Baseline::encode`] writes.
    pub fn decode(content: &[u8]) -> Result<Baseline> {
        let mut r = Reader::new(content);
        let mut out = Baseline::default();
        for _ in 0..r.number()? {
            out.learned.insert((r.number()?, r.wide()?));
        }
        for _ in 0..r.number()? {
            let id = r.text()?.to_owned();
            out.interfaces.insert(id, InterfaceHistory::decode(&mut r)?);
        }
        for _ in 0..r.number()? {
            let days = out.excluded.entry(r.text()?.to_owned()).or_default();
            for _ in 0..r.number()? {
                days.insert(marked(r.number()?)?);
            }
        }
        for _ in 0..r.number()? {
            let places = out.flagged.entry(r.text()?.to_owned()).or_default();
            for _ in 0..r.number()? {
                let days: &mut BTreeSet<Day> = places.entry(r.text()?.to_owned()).or_default();
                for _ in 0..r.number()? {
                    days.insert(r.small()?);
                }
            }
        }
        out.decode_verdicts(&mut r)?;
        r.done()?;
        Ok(out)
    }
}

/// A day and channel as one number.
fn marked(n: u64) -> Result<(Day, Channel)> {
    let channel = Channel::ALL[(n % 4) as usize];
    let day = Day::try_from(n / 4).map_err(|_| Error::format("damaged: a day beyond the calendar"))?;
    Ok((day, channel))
}

impl InterfaceHistory {
    fn encode(&self, w: &mut Writer) {
        w.text(self.subnet.as_deref().unwrap_or(""));
        w.number(self.hours.len() as u64);
        let mut before = 0;
        for (hour, bytes) in &self.hours {
            w.number(hour / HOUR - before);
            before = hour / HOUR;
            bytes.iter().for_each(|b| w.number(*b));
        }
        encode_seen(w, &self.places, |w, k| w.text(k));
        encode_seen(w, &self.asns, |w, k| w.number((*k).into()));
        encode_seen(w, &self.countries, |w, k| w.text(k));
        encode_seen(w, &self.ports, |w, k| w.number((*k).into()));
        w.number(self.habits.len() as u64);
        for (habit, records) in &self.habits {
            w.number((*habit).into());
            w.number(*records);
        }
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let subnet = Some(r.text()?).filter(|s| !s.is_empty()).map(str::to_owned);
        let mut out = InterfaceHistory {
            subnet,
            ..InterfaceHistory::default()
        };
        let mut hour = 0u64;
        for _ in 0..r.number()? {
            hour = hour.saturating_add(r.number()?);
            let start = hour.checked_mul(HOUR).ok_or_else(beyond)?;
            let bytes = [r.number()?, r.number()?, r.number()?, r.number()?];
            out.hours.insert(start, bytes);
        }
        out.places = decode_seen(r, |r| Ok(r.text()?.to_owned()))?;
        out.asns = decode_seen(r, Reader::small)?;
        out.countries = decode_seen(r, |r| Ok(r.text()?.to_owned()))?;
        out.ports = decode_seen(r, Reader::small)?;
        for _ in 0..r.number()? {
            out.habits.insert(r.small()?, r.number()?);
        }
        Ok(out)
    }
}

fn beyond() -> Error {
    Error::format("damaged: an hour beyond the calendar")
}

fn encode_seen<K: Ord>(w: &mut Writer, seen: &BTreeMap<K, Seen>, key: impl Fn(&mut Writer, &K)) {
    w.number(seen.len() as u64);
    for (k, s) in seen {
        key(w, k);
        w.number(s.first.into());
        w.number((s.last - s.first.min(s.last)).into());
        w.number(s.first_bytes);
        w.number(s.first_hours.into());
        // What came after the first day.
        w.number(s.bytes - s.first_bytes.min(s.bytes));
    }
}

fn decode_seen<'b, K: Ord>(
    r: &mut Reader<'b>,
    key: impl Fn(&mut Reader<'b>) -> Result<K>,
) -> Result<BTreeMap<K, Seen>> {
    let mut out = BTreeMap::new();
    for _ in 0..r.number()? {
        let k = key(r)?;
        let first: Day = r.small()?;
        let last = first.checked_add(r.small()?).ok_or_else(beyond)?;
        let first_bytes = r.number()?;
        let first_hours = r.small()?;
        let bytes = first_bytes.saturating_add(r.number()?);
        out.insert(
            k,
            Seen {
                first,
                last,
                first_bytes,
                first_hours,
                bytes,
            },
        );
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(n: u64, files: std::ops::Range<u64>) -> Baseline {
        let mut out = Baseline::default();
        let history = out.interfaces.entry(format!("eni-{}", n % 2)).or_default();
        history.subnet = Some("subnet-1".to_owned());
        for hour in 0..40 {
            history
                .hours
                .insert((n * 40 + hour) * HOUR, [hour * 7_919, n, 0, 1 << hour]);
        }
        let seen = Seen {
            first: 3,
            last: 9,
            first_bytes: 10,
            first_hours: 5,
            bytes: 1_000 + n,
        };
        history.places.insert("203.0.113.0/24".to_owned(), seen);
        history.asns.insert(64_500, seen);
        history.countries.insert("NL".to_owned(), seen);
        history.ports.insert(6 << 16 | 443, seen);
        history.habits.insert(887, 40);
        out.excluded
            .insert("eni-1".to_owned(), [(7, Channel::S3)].into_iter().collect());
        out.flagged
            .entry("eni-0".to_owned())
            .or_default()
            .insert("192.0.2.0/24".to_owned(), [8].into_iter().collect());
        let accepted = out.accepted.entry("eni-1".to_owned()).or_default();
        accepted.days.insert((7, Channel::S3));
        accepted.places.insert("192.0.2.0/24".to_owned());
        out.events
            .insert(7 + n as Day, [(312, 1), (95, 2)].into_iter().collect());
        out.learned = files.map(|f| (f, u128::from(f) << 70)).collect();
        out
    }

    #[test]
    fn a_baseline_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.ftb");
        let baseline = state(1, 0..3);
        baseline.save(&Lock::take(&path).unwrap()).unwrap();
        assert_eq!(Baseline::load(&path).unwrap(), baseline);
    }

    #[test]
    fn content_that_ends_early_or_late_is_refused() {
        let whole = state(1, 0..3).encode();
        for at in 0..whole.len() {
            assert!(Baseline::decode(&whole[..at]).is_err(), "cut at {at}");
        }
        let mut longer = whole;
        longer.push(0);
        assert!(Baseline::decode(&longer).is_err());
    }

    #[test]
    fn merging_in_any_order_gives_the_same_bytes_and_counts_no_file_twice() {
        let names: Vec<String> = Vec::new();
        let merged = |order: [usize; 3]| {
            let states = order.map(|n| state(n as u64, n as u64 * 10..n as u64 * 10 + 3));
            Baseline::merge_all(states.into(), &names).unwrap().0.encode()
        };
        let first = merged([0, 1, 2]);
        assert_eq!(first, merged([2, 0, 1]));
        assert_eq!(first, merged([1, 2, 0]));
        let twice = vec![state(0, 0..3), state(0, 0..3)];
        let (once, done) = Baseline::merge_all(twice, &names).unwrap();
        assert_eq!(once, state(0, 0..3));
        assert_eq!(done.iter().filter(|d| **d == Merged::Known).count(), 1);
        let overlap = Baseline::merge_all(vec![state(0, 0..3), state(1, 2..6)], &names);
        assert!(overlap.unwrap_err().to_string().contains("1 of the 3 files"));
    }

    #[test]
    fn the_morning_of_a_day_knows_nothing_of_it() {
        let morning = state(0, 0..1).before(1);
        let history = &morning.interfaces["eni-0"];
        assert_eq!(history.hours.len(), 24);
        assert!(history.places.is_empty() && morning.excluded["eni-1"].is_empty());
    }
}
