//! One object: fetched whole into a buffer, or streamed, in ranges that are asked for at the same time.
//!
//! Workers read one object after the other in an order that is known beforehand, so the next ones are fetched while the
//! current one is counted ([`Object::expect`]); how much waits in memory is bounded.

use crate::error::Result as Answered;
use crate::input::remote::bucket::{Bucket, runtime};
use crate::input::remote::fault::Fault;
use crate::input::remote::listing::WRITTEN;
use crate::input::remote::pieces::TAIL;
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
    mark: String,
}

impl Named {
    /// Its tag, if the listing gave one.
    fn etag(&self) -> &str {
        let is_tag = !self.mark.starts_with(WRITTEN);
        if is_tag { &self.mark } else { "" }
    }
}

/// Bytes of one request.
const RANGE: u64 = 8 << 20;
/// Ranges of one object that are under way at a time.
const AHEAD: usize = 4;
/// Bytes that wait in memory for their workers, in units of 64 KiB.
const WAITING: usize = (192 << 20) / UNIT;
const UNIT: usize = 64 << 10;
/// What an object takes beside its bytes, rounded up so that not thousands of small ones wait.
const TASK: usize = 4;
/// Larger objects are not fetched before their turn.
const SMALL: u64 = 32 << 20;

type Fetched = Result<Vec<Bytes>, Fault>;
/// What was fetched, and the tag of the content that it is of.
type Tagged = Result<(Vec<Bytes>, Option<String>), Fault>;
type Waiting = oneshot::Receiver<(Tagged, OwnedSemaphorePermit)>;
/// An object, and whether only its end is meant.
type Place = (String, bool);

/// Objects that are fetched before anybody asks for them.
#[derive(Default)]
struct Expected {
    waiting: HashMap<Place, Waiting>,
    /// Lists that are still being gone through.
    lists: usize,
    /// Objects that somebody fetched before their turn came: they are not fetched again.
    begun: HashSet<Place>,
}

static EXPECTED: OnceLock<Mutex<Expected>> = OnceLock::new();

impl Object {
    pub(super) fn new(bucket: &Arc<Bucket>, key: &str, size: u64, mark: &str) -> Self {
        Object(Arc::new(Named {
            bucket: Arc::clone(bucket),
            key: key.to_string(),
            size,
            mark: mark.to_string(),
        }))
    }

    /// Fetches these before they are asked for, in this order, as far as memory for them goes; of those with a mark only
    /// the end.
    pub fn expect(objects: impl Iterator<Item = (Object, bool)> + Send + 'static) {
        let Ok(runtime) = runtime() else { return };
        let room = Arc::new(Semaphore::new(WAITING));
        expected().lists += 1;
        runtime.spawn(async move {
            for (object, end) in objects.filter(|(o, end)| o.0.size <= SMALL || *end) {
                let size = if end { TAIL.min(object.0.size) } else { object.0.size };
                let units = u32::try_from(size as usize / UNIT + TASK).unwrap_or(1);
                let Ok(permit) = Arc::clone(&room).acquire_many_owned(units).await else {
                    break;
                };
                let (send, receive) = oneshot::channel();
                if !expected().announce((object.place(), end), receive) {
                    continue;
                }
                tokio::spawn(async move {
                    let fetched = match end {
                        true => object.end().await.map(|(tail, tag)| (vec![tail], tag)),
                        false => object.ranges().await.map(|all| (all, None)),
                    };
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
        let waiting = expected().take((self.place(), false));
        let fetched = runtime.block_on(async {
            match arrived(waiting).await {
                Some(fetched) => fetched.map(|(all, _)| all),
                None => self.ranges().await,
            }
        });
        for bytes in fetched.map_err(|f| io::Error::other(f.reason()))? {
            into.extend_from_slice(&bytes);
        }
        Ok(())
    }

    /// Its last bytes, and the tag of the content that they are of.
    pub(super) fn tail(&self) -> Answered<(Bytes, Option<String>)> {
        let waiting = expected().take((self.place(), true));
        let fetched = runtime()?.block_on(async {
            match arrived(waiting).await {
                Some(fetched) => fetched.map(|(all, tag)| (all.into_iter().next().unwrap_or_default(), tag)),
                None => self.end().await,
            }
        });
        fetched.map_err(|f| io::Error::other(f.reason()).into())
    }

    /// The same object with what tells its content.
    pub(super) fn with_tag(&self, tag: &str) -> Object {
        Object::new(&self.0.bucket, &self.0.key, self.0.size, tag)
    }

    async fn end(&self) -> Result<(Bytes, Option<String>), Fault> {
        let named = &self.0;
        let range = named.size.saturating_sub(TAIL)..named.size;
        let (bytes, tag) = named
            .bucket
            .get_tagged(&named.key, range, named.size, named.etag())
            .await?;
        let listed = Some(named.etag()).filter(|t| !t.is_empty()).map(str::to_owned);
        Ok((bytes, listed.or(tag)))
    }

    /// The bytes of each of these ranges.
    pub(super) async fn parts(&self, parts: &[Range<u64>]) -> Fetched {
        let mut pieces = self.each(parts.iter().cloned().flat_map(ranges)).await?.into_iter();
        let whole = |part: &Range<u64>| {
            let mut of_part: Vec<Bytes> = ranges(part.clone()).map_while(|_| pieces.next()).collect();
            match of_part.len() {
                1 => of_part.pop().unwrap_or_default(),
                _ => of_part.concat().into(),
            }
        };
        Ok(parts.iter().map(whole).collect())
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

    /// What tells its content from what it held before: its tag, else when it was written; empty if the listing gave
    /// neither.
    pub fn mark(&self) -> &str {
        &self.0.mark
    }

    /// The object of a path `s3://bucket/key` in one of these buckets.
    pub(in crate::input) fn again(
        buckets: &Buckets,
        number: u64,
        path: &[u8],
        size: u64,
        mark: &str,
    ) -> Option<Object> {
        let bucket = buckets.0.get(usize::try_from(number).ok()?)?;
        let key = std::str::from_utf8(path).ok()?.strip_prefix("s3://")?;
        let key = key.strip_prefix(bucket.name.as_str())?.strip_prefix('/')?;
        Some(Object::new(bucket, key, size, mark))
    }

    /// Its bytes on S3.
    pub fn size(&self) -> u64 {
        self.0.size
    }

    async fn ranges(&self) -> Fetched {
        self.each(ranges(0..self.0.size)).await
    }

    /// These ranges, in their order; some are under way at a time.
    async fn each(&self, mut ranges: impl Iterator<Item = Range<u64>>) -> Fetched {
        let mut all = Vec::new();
        let mut under_way = VecDeque::new();
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
        named.bucket.get(&named.key, range, named.size, named.etag()).await
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
    fn announce(&mut self, place: Place, receive: Waiting) -> bool {
        let waits = !self.begun.remove(&place);
        if waits {
            self.waiting.insert(place, receive);
        }
        waits
    }

    /// What was fetched or is being fetched; nothing if the object's turn has not come, and then it will not.
    fn take(&mut self, place: Place) -> Option<Waiting> {
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

/// What was expected, once it is there; nothing if it was not, or will not come.
async fn arrived(waiting: Option<Waiting>) -> Option<Tagged> {
    let (fetched, _permit) = waiting?.await.ok()?;
    Some(fetched)
}

/// A stretch of an object as it is asked for.
fn ranges(of: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let count = (of.end - of.start).div_ceil(RANGE);
    (0..count).map(move |i| of.start + i * RANGE..(of.start + i * RANGE + RANGE).min(of.end))
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
            for range in ranges(0..size) {
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
        let whole = |name: &str| (name.to_string(), false);
        assert!(expected.take(whole("began")).is_none());
        assert!(!expected.announce(whole("began"), oneshot::channel().1));
        assert!(expected.announce(whole("waited"), oneshot::channel().1));
        assert!(
            expected.take(("waited".into(), true)).is_none(),
            "its end alone is another thing"
        );
        assert!(expected.take(whole("waited")).is_some());
        expected.end_of_list();
        assert!(expected.take(whole("on no list")).is_none() && expected.begun.is_empty());
    }
}
