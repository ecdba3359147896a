//! The events of single objects. The index keeps sums of objects, not their keys, so a question about one object reads
//! the trail once more and keeps what names it.

use std::collections::BTreeMap;

use rayon::ThreadPool;

use crate::aggregate::workers;
use crate::input::{Archive, ReadOptions, Reader};
use crate::lookup::key::Key;
use crate::trail::{PrincipalIndex, TrailArchive, read};

/// By number of the key, an index that holds nothing but the events of that object.
pub fn of_objects(
    keys: &[Key],
    archive: &Archive,
    options: ReadOptions,
    pool: &ThreadPool,
) -> BTreeMap<usize, PrincipalIndex> {
    let objects = keys.iter().enumerate().filter_map(|(n, k)| match k {
        Key::Object(bucket, key) => Some((n, bucket.as_str(), key.as_str())),
        _ => None,
    });
    let wanted: Vec<(usize, &str, &str)> = objects.collect();
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    let new = || {
        let archives: Vec<TrailArchive> = wanted.iter().map(|_| TrailArchive::default()).collect();
        (Reader::new(options), Vec::new(), archives)
    };
    let step = |(reader, text, archives): &mut (Reader, Vec<u8>, Vec<TrailArchive>), i: usize| {
        let Some(source) = archive.sources.get(i) else { return };
        // Files that cannot be read, or at which we fail, were named when the index was made.
        let _ = workers::guarded(|| {
            if reader.whole(&source, text).is_err() {
                return;
            }
            read(text, &mut |event| {
                for ((_, bucket, key), archive) in wanted.iter().zip(archives.iter_mut()) {
                    let copied = event.copied_from().is_some_and(|(b, k)| b == *bucket && k == *key);
                    if copied || event.bucket.as_deref() == Some(*bucket) && event.key.as_deref() == Some(*key) {
                        archive.observe(&event);
                    }
                }
            });
        });
    };
    let mut all: Vec<TrailArchive> = wanted.iter().map(|_| TrailArchive::default()).collect();
    for (_, _, archives) in workers::run(pool, archive.sources.len(), new, step) {
        all.iter_mut().zip(archives).for_each(|(a, b)| a.merge(b));
    }
    wanted.iter().zip(all).map(|((n, ..), a)| (*n, a.finish())).collect()
}
