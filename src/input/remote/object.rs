//! One object: fetched whole into a buffer, or streamed, in ranges that are asked for at the same time.
//!
//! Workers read one object after the other in an order that is known beforehand, so the next ones are fetched while the
//! current one is counted ([`Object::expect`]); how much waits in memory is bounded.

use crate::input::remote::bucket::{Bucket, runtime};
use crate::input::remote::fault::Fault;
use bytes::Bytes;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinHandle;

/// An object as the listing named it.
#[derive(Clone)]
pub struct Object(Arc<Named>);

struct Named {
    bucket: Arc<Bucket>,
    key: String,
    size: u64,
    etag: String,
}

/// Bytes of one request.
const RANGE: u64 = 8 << 20;
/// Ranges of one object that are under way at a time.
const AHEAD: usize = 4;
/// Bytes that wait in memory for their workers, in units of 64 KiB.
const WAITING: usize = (192 << 20) / UNIT;
const UNIT: usize = 64 << 10;
/// Larger objects are not fetched before their turn.
const SMALL: u64 = 32 << 20;

type Fetched = Result<Vec<Bytes>, Fault>;

/// Objects that are fetched before anybody asks for them.
#[derive(Default)]
struct Expected {
    waiting: HashMap<String, oneshot::Receiver<(Fetched, OwnedSemaphorePermit)>>,
    /// Lists that are still being gone through.
    lists: usize,
    /// Objects that somebody fetched before their turn came: they are not fetched again.
    begun: HashSet<String>,
}

static EXPECTED: OnceLock<Mutex<Expected>> = OnceLock::new();

impl Object {
    pub(super) fn new(bucket: &Arc<Bucket>, key: &str, size: u64, etag: &str) -> Self {
        Object(Arc::new(Named {
            bucket: Arc::clone(bucket),
            key: key.to_string(),
            size,
            etag: etag.to_string(),
        }))
    }

    /// Fetches these before they are asked for, in this order, as far as memory for them goes.
    pub fn expect(objects: impl Iterator<Item = Object> + Send + 'static) {
        let Ok(runtime) = runtime() else { return };
        let room = Arc::new(Semaphore::new(WAITING));
        expected().lists += 1;
        runtime.spawn(async move {
            for object in objects.filter(|o| o.0.size <= SMALL) {
                let units = u32::try_from(object.0.size as usize / UNIT + 1).unwrap_or(1);
                let Ok(permit) = Arc::clone(&room).acquire_many_owned(units).await else {
                    break;
                };
                let (send, receive) = oneshot::channel();
                if !expected().announce(object.place(), receive) {
                    continue;
                }
                tokio::spawn(async move {
                    let fetched = object.ranges().await;
                    // Nobody waits any more: the bytes go, and so does the permit.
                    let _ = send.send((fetched, permit));
                });
            }
            expected().end_of_list();
        });
    }

    /// All of it, appended to `into`.
    ///
    /// # Errors
    /// What S3 says, in words.
    pub(in crate::input) fn read_into(&self, into: &mut Vec<u8>) -> io::Result<()> {
        let runtime = runtime().map_err(|e| io::Error::other(e.reason()))?;
        let waiting = expected().take(self.place());
        let fetched = runtime.block_on(async {
            match waiting {
                Some(receive) => match receive.await {
                    Ok((fetched, _permit)) => fetched,
                    Err(_) => self.ranges().await,
                },
                None => self.ranges().await,
            }
        });
        for bytes in fetched.map_err(|f| io::Error::other(f.reason()))? {
            into.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// A reader over it, some ranges ahead of what is read.
    pub(in crate::input) fn stream(&self) -> ObjectRead {
        ObjectRead {
            object: self.clone(),
            next: 0,
            under_way: VecDeque::new(),
            current: Bytes::new(),
        }
    }

    /// What tells its content from what it held before; empty if the listing gave none.
    pub(in crate::input) fn tag(&self) -> &str {
        &self.0.etag
    }

    /// The object of a path `s3://bucket/key` in one of these buckets.
    pub(in crate::input) fn again(buckets: &Buckets, number: u64, path: &[u8], size: u64, tag: &str) -> Option<Object> {
        let bucket = buckets.0.get(usize::try_from(number).ok()?)?;
        let key = std::str::from_utf8(path).ok()?.strip_prefix("s3://")?;
        let key = key.strip_prefix(bucket.name.as_str())?.strip_prefix('/')?;
        Some(Object::new(bucket, key, size, tag))
    }

    /// Its bytes on S3.
    pub(in crate::input) fn size(&self) -> u64 {
        self.0.size
    }

    async fn ranges(&self) -> Fetched {
        let mut all = Vec::new();
        let mut under_way = VecDeque::new();
        let mut ranges = ranges(self.0.size);
        loop {
            while under_way.len() < AHEAD {
                let Some(range) = ranges.next() else { break };
                let object = self.clone();
                under_way.push_back(tokio::spawn(async move { object.range(range).await }));
            }
            match under_way.pop_front() {
                None => return Ok(all),
                Some(task) => all.push(joined(task.await)?),
            }
        }
    }

    async fn range(&self, range: Range<u64>) -> Result<Bytes, Fault> {
        let named = &self.0;
        named.bucket.get(&named.key, range, named.size, &named.etag).await
    }

    fn place(&self) -> String {
        format!("{}/{}", self.0.bucket.name, self.0.key)
    }
}

/// The buckets of a list of objects, by number.
#[derive(Clone, Default)]
pub(in crate::input) struct Buckets(Vec<Arc<Bucket>>);

impl Buckets {
    /// True if there is none.
    pub(in crate::input) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of an object's bucket.
    pub(in crate::input) fn number(&mut self, object: &Object) -> u64 {
        let bucket = &object.0.bucket;
        let known = self.0.iter().position(|b| Arc::ptr_eq(b, bucket));
        let number = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(Arc::clone(bucket));
        }
        number as u64
    }
}

fn expected() -> std::sync::MutexGuard<'static, Expected> {
    let expected = EXPECTED.get_or_init(Mutex::default);
    expected.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Expected {
    /// True if the object is to be fetched now; false if somebody did not wait for its turn.
    fn announce(&mut self, place: String, receive: oneshot::Receiver<(Fetched, OwnedSemaphorePermit)>) -> bool {
        let waits = !self.begun.remove(&place);
        if waits {
            self.waiting.insert(place, receive);
        }
        waits
    }

    /// What was fetched or is being fetched; nothing if the object's turn has not come, and then it will not.
    fn take(&mut self, place: String) -> Option<oneshot::Receiver<(Fetched, OwnedSemaphorePermit)>> {
        let found = self.waiting.remove(&place);
        if found.is_none() && self.lists > 0 {
            self.begun.insert(place);
        }
        found
    }

    fn end_of_list(&mut self) {
        self.lists = self.lists.saturating_sub(1);
        if self.lists == 0 {
            self.begun.clear();
        }
    }
}

fn ranges(size: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(RANGE)).map(move |i| i * RANGE..(i * RANGE + RANGE).min(size))
}

fn joined(result: Result<Result<Bytes, Fault>, tokio::task::JoinError>) -> Result<Bytes, Fault> {
    result.unwrap_or_else(|_| Err(Fault::Object("its reader stopped".into())))
}

/// Reads an object from its start to its end.
pub(in crate::input) struct ObjectRead {
    object: Object,
    /// Where the next range to be asked for starts.
    next: u64,
    under_way: VecDeque<JoinHandle<Result<Bytes, Fault>>>,
    current: Bytes,
}

impl Read for ObjectRead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            let runtime = runtime().map_err(|e| io::Error::other(e.reason()))?;
            while self.under_way.len() < AHEAD && self.next < self.object.size() {
                let range = self.next..(self.next + RANGE).min(self.object.size());
                self.next = range.end;
                let object = self.object.clone();
                self.under_way
                    .push_back(runtime.spawn(async move { object.range(range).await }));
            }
            let Some(task) = self.under_way.pop_front() else {
                return Ok(0);
            };
            let fetched = joined(runtime.block_on(task));
            self.current = fetched.map_err(|f| io::Error::other(f.reason()))?;
        }
        let n = out.len().min(self.current.len());
        let taken = self.current.split_to(n);
        out.iter_mut().zip(taken).for_each(|(o, b)| *o = b);
        Ok(n)
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.place())
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Object {}

impl PartialOrd for Object {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Object {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.0.bucket.name, &self.0.key).cmp(&(&other.0.bucket.name, &other.0.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_an_object_once() {
        for size in [0, 1, RANGE - 1, RANGE, RANGE + 1, 3 * RANGE + 5] {
            let mut end = 0;
            for range in ranges(size) {
                assert_eq!(range.start, end);
                end = range.end;
            }
            assert_eq!(end, size);
        }
    }

    #[test]
    fn what_somebody_began_before_its_turn_is_not_fetched_again() {
        let mut expected = Expected {
            lists: 1,
            ..Expected::default()
        };
        assert!(expected.take("began".into()).is_none());
        assert!(!expected.announce("began".into(), oneshot::channel().1));
        assert!(expected.announce("waited".into(), oneshot::channel().1));
        assert!(expected.take("waited".into()).is_some());
        expected.end_of_list();
        assert!(expected.take("on no list".into()).is_none() && expected.begun.is_empty());
    }
}
