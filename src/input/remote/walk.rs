//! A prefix to its objects: folder by folder, many at a time, passing over what is not wanted by name or date.
//!
//! A listing is believed only as far as it makes sense: a page must lead to another one, a key comes once, and a key that
//! no URL can carry (`..`) is named instead of asked for.

use crate::input::archive::{PassedOver, Problem, Source};
use crate::input::gathering::Gathering;
use crate::input::layout::{self, LogName};
use crate::input::remote::bucket::{Bucket, encode, runtime};
use crate::input::remote::fault::Fault;
use crate::input::remote::listing::Page;
use crate::input::remote::object::Object;
use crate::net::{TimeWindow, printable};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use xxhash_rust::xxh3::xxh3_128;

/// What a walk takes.
pub(in crate::input) struct Wanted<'w> {
    /// True for a folder, by its own name, that holds another log family.
    pub(in crate::input) passes_over: &'w dyn Fn(&str) -> bool,
    /// When records are wanted.
    pub(in crate::input) window: Option<TimeWindow>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(in crate::input) struct Listed {
    pub(in crate::input) sources: Gathering,
    pub(in crate::input) failed: Vec<Problem>,
    pub(in crate::input) passed_over: PassedOver,
}

/// A prefix, and which of its pages is to come.
struct Folder {
    prefix: String,
    token: Option<String>,
    /// All that led from one page to the next.
    tokens: BTreeSet<String>,
}

/// Lists `prefix`: one object of that key, or everything below it as if it were a folder; with `*` at its end every key
/// that starts so.
pub(super) fn walk(bucket: &Arc<Bucket>, prefix: &str, wanted: &Wanted<'_>) -> Listed {
    let mut found = Listed::default();
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(e) => {
            found.failed.push(problem(bucket, prefix, &e.reason()));
            return found;
        }
    };
    let start = prefix.strip_suffix('*').unwrap_or(prefix);
    let loose = start.len() < prefix.len();
    let root = start
        .get(..start.rfind('/').map_or(0, |i| i + 1))
        .unwrap_or_default()
        .to_string();
    let base = if loose || start.is_empty() || start.ends_with('/') {
        root
    } else {
        format!("{start}/")
    };
    let mut walk = Walk {
        bucket,
        wanted,
        found,
        folders: BTreeSet::new(),
        others: BTreeSet::new(),
    };
    let named = |p: &str| loose || start.is_empty() || start.ends_with('/') || p == start || p.starts_with(&base);
    runtime.block_on(async {
        let mut open = JoinSet::new();
        open.spawn(list(Arc::clone(bucket), Folder::new(start)));
        while let Some(listed) = open.join_next().await {
            let Ok((folder, page)) = listed else { continue };
            let next = page.and_then(|page| {
                for below in page.folders().filter(|p| named(p)) {
                    if walk.enters(below) {
                        open.spawn(list(Arc::clone(bucket), Folder::new(below)));
                    }
                }
                let objects = page.contents.iter().filter(|e| named(&e.key));
                objects.for_each(|e| walk.object(e, &base));
                folder.next(page.next_continuation_token)
            });
            match next {
                Ok(Some(folder)) => drop(open.spawn(list(Arc::clone(bucket), folder))),
                Ok(None) => {}
                Err((prefix, fault)) => walk.found.failed.push(problem(bucket, &prefix, &fault)),
            }
        }
    });
    walk.found
}

struct Walk<'w> {
    bucket: &'w Arc<Bucket>,
    wanted: &'w Wanted<'w>,
    found: Listed,
    folders: BTreeSet<String>,
    /// Hashes of keys that became no source; what is listed twice among sources is found when they are sorted.
    others: BTreeSet<u128>,
}

impl Walk<'_> {
    fn enters(&mut self, folder: &str) -> bool {
        let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if (self.wanted.passes_over)(name) {
            return false;
        }
        if self.is_outside(layout::folder_span(Path::new(folder))) {
            self.found.passed_over.folders += 1;
            return false;
        }
        // A listing that names a folder twice is read once.
        self.folders.insert(folder.to_string())
    }

    fn object(&mut self, entry: &super::listing::Entry, base: &str) {
        if entry.key.ends_with('/') && entry.size == 0 {
            return;
        }
        if self.is_outside(LogName::parse(&entry.key).map(|n| n.span())) {
            self.found.passed_over.files += u64::from(self.is_new(&entry.key));
            return;
        }
        if entry.key.split('/').any(|part| part == "." || part == "..") {
            let reason = "a key with `..` in it cannot be asked for";
            if self.is_new(&entry.key) {
                self.found.failed.push(problem(self.bucket, &entry.key, reason));
            }
            return;
        }
        let last = entry.key.rsplit('/').next().unwrap_or_default();
        let name = entry.key.strip_prefix(base).filter(|n| !n.is_empty()).unwrap_or(last);
        self.found.sources.push(Source {
            name: printable(name.as_bytes()),
            path: PathBuf::from(format!("s3://{}/{}", self.bucket.name, entry.key)),
            size: entry.size,
            object: Some(Object::new(self.bucket, &entry.key, entry.size, &entry.mark())),
        });
    }

    fn is_new(&mut self, key: &str) -> bool {
        self.others.insert(xxh3_128(key.as_bytes()))
    }

    fn is_outside(&self, span: Option<TimeWindow>) -> bool {
        let both = self.wanted.window.zip(span);
        both.is_some_and(|(window, span)| layout::is_outside(&span, &window))
    }
}

impl Folder {
    fn new(prefix: &str) -> Self {
        Folder {
            prefix: prefix.to_string(),
            token: None,
            tokens: BTreeSet::new(),
        }
    }

    /// With its next page to come; nothing after the last.
    fn next(mut self, token: Option<String>) -> Result<Option<Folder>, (String, String)> {
        let Some(token) = token else { return Ok(None) };
        if !self.tokens.insert(token.clone()) {
            let fault = "the listing leads back to a page that was read; what follows is not listed";
            return Err((self.prefix, fault.into()));
        }
        self.token = Some(token);
        Ok(Some(self))
    }
}

/// The page of a prefix that is to come, or the prefix and why there is none.
async fn list(bucket: Arc<Bucket>, folder: Folder) -> (Folder, Result<Page, (String, String)>) {
    let page = page(&bucket, &folder.prefix, folder.token.as_deref()).await;
    let page = page.map_err(|fault| (folder.prefix.clone(), fault.reason()));
    (folder, page)
}

/// One page; XML that is none may be a passing fault.
async fn page(bucket: &Bucket, prefix: &str, token: Option<&str>) -> Result<Page, Fault> {
    const TRIES: u32 = 3;
    let mut query = String::new();
    // In the order of their names, as the signature wants them.
    if let Some(token) = token {
        query = format!("continuation-token={}&", encode(token, false));
    }
    query += &format!(
        "delimiter=%2F&encoding-type=url&list-type=2&prefix={}",
        encode(prefix, false)
    );
    let mut tries = 1;
    loop {
        match Page::read(&bucket.list(&query).await?) {
            Err(_) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

fn problem(bucket: &Bucket, key: &str, reason: &str) -> Problem {
    Problem {
        name: printable(format!("s3://{}/{key}", bucket.name).as_bytes()),
        reason: reason.to_string(),
    }
}
