//! Objects that were known once, as they are now: the folders in which they stood are listed once more.
//!
//! In: paths `s3://bucket/key`. Out: what stands there. Nothing is fetched, and no folder is entered whose name none of the
//! paths has. A listing that fails is an error: what it would have named is not taken for gone.

#[cfg(feature = "s3")]
use crate::input::Object;
use crate::input::remote::{RemoteOptions, SCHEME};
#[cfg(feature = "s3")]
use crate::input::remote::{bucket::Bucket, split, walk};
use crate::input::{Problem, Source};
#[cfg(feature = "s3")]
use crate::net::printable;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
#[cfg(feature = "s3")]
use std::{collections::BTreeSet, sync::Arc};

/// What stands where objects stood.
#[derive(Default)]
pub struct Again {
    there: BTreeMap<PathBuf, Source>,
    #[cfg(feature = "s3")]
    buckets: BTreeMap<String, Arc<Bucket>>,
}

impl Again {
    /// True for the path of an object.
    pub fn is_object(path: &Path) -> bool {
        path.as_os_str().as_encoded_bytes().starts_with(SCHEME)
    }

    /// What stands at a path now.
    pub fn get(&self, path: &Path) -> Option<&Source> {
        self.there.get(path)
    }
}

#[cfg(feature = "s3")]
impl Again {
    /// Lists the folders of these objects.
    ///
    /// # Errors
    /// A bucket or folder that cannot be listed, and why.
    pub fn list<'p>(paths: impl Iterator<Item = &'p Path>, options: &RemoteOptions) -> Result<Again, Problem> {
        let mut keys: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for path in paths.filter_map(|p| p.to_str()) {
            let failed = |reason: String| problem(path, reason);
            let (bucket, key) = split(path).map_err(|e| failed(e.reason()))?;
            keys.entry(bucket.to_owned()).or_default().push(key);
        }
        let mut again = Again::default();
        for (name, keys) in keys {
            let root = format!("s3://{name}/");
            let bucket = Bucket::open(&name, options).map_err(|e| problem(&root, e.reason()))?;
            again.walk(&bucket, &keys)?;
            again.buckets.insert(name, bucket);
        }
        Ok(again)
    }

    fn walk(&mut self, bucket: &Arc<Bucket>, keys: &[&str]) -> Result<(), Problem> {
        let folders: BTreeSet<&str> = keys.iter().flat_map(|k| k.split('/')).collect();
        let wanted = walk::Wanted {
            passes_over: &|folder| !folders.contains(folder),
            window: None,
        };
        let listed = walk::walk(bucket, common_folder(keys), &wanted);
        // A key that cannot be asked for is told as well, and was never known.
        let path = |key: &&str| printable(format!("s3://{}/{key}", bucket.name).as_bytes());
        let concerns = |p: &Problem| keys.iter().any(|k| path(k).starts_with(&p.name));
        if let Some(problem) = listed.failed.into_iter().find(concerns) {
            return Err(problem);
        }
        let keys: BTreeSet<&str> = keys.iter().copied().collect();
        let root = format!("s3://{}/", bucket.name);
        let known = |s: &Source| {
            let key = s.path.to_str().and_then(|p| p.strip_prefix(&root));
            key.is_some_and(|k| keys.contains(k))
        };
        let found = listed.sources.finish();
        self.there
            .extend(found.iter().filter(known).map(|s| (s.path.clone(), s)));
        Ok(())
    }

    /// The object at a path: as it is now, or, if it is gone, as it was when it had this size and this mark.
    pub fn object(&self, path: &Path, size: u64, mark: &str) -> Option<Object> {
        if let Some(source) = self.get(path) {
            return source.object.clone();
        }
        let (bucket, key) = split(path.to_str()?).ok()?;
        Some(Object::new(self.buckets.get(bucket)?, key, size, mark))
    }
}

#[cfg(not(feature = "s3"))]
impl Again {
    /// Refuses objects.
    ///
    /// # Errors
    /// The first of them.
    pub fn list<'p>(mut paths: impl Iterator<Item = &'p Path>, _: &RemoteOptions) -> Result<Again, Problem> {
        let reason = "this build does not read S3 (it was built without the feature `s3`)";
        match paths.next() {
            Some(path) => Err(problem(&path.to_string_lossy(), reason.into())),
            None => Ok(Again::default()),
        }
    }

    /// No object.
    pub fn object(&self, _: &Path, _: u64, _: &str) -> Option<crate::input::Object> {
        None
    }
}

fn problem(path: &str, reason: String) -> Problem {
    Problem {
        name: crate::net::printable(path.as_bytes()),
        reason,
    }
}

/// The folder in which all of these keys stand, itself or its folders; empty for the whole bucket.
#[cfg(feature = "s3")]
fn common_folder<'k>(keys: &[&'k str]) -> &'k str {
    let Some((first, others)) = keys.split_first() else {
        return "";
    };
    let shared = |other: &&str| first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let length = others.iter().map(shared).min().unwrap_or(first.len());
    let start = first.as_bytes().get(..length).unwrap_or_default();
    let end = start.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    first.get(..end).unwrap_or_default()
}

#[cfg(all(test, feature = "s3"))]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_holds_all_keys() {
        for (keys, folder) in [
            (&["a/b/c.log", "a/b/d.log"][..], "a/b/"),
            (&["a/b/c", "a/bc/d"], "a/"),
            (&["a/b/c", "a/b/c/d"], "a/b/"),
            (&["ä/1", "ö/1"], ""),
            (&["a/ä", "a/ö"], "a/"),
            (&["only/one"], "only/"),
            (&["root"], ""),
            (&[], ""),
        ] {
            assert_eq!(common_folder(keys), folder, "{keys:?}");
        }
    }
}
