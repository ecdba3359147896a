//! Who moved objects of which bucket: a row a principal, a column a bucket, the area of a disc the bytes.
//!
//! Buckets are numbered, with their names below, so that the picture fits a phone.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::{Picture, cut, share, table};
use crate::net::human_bytes;
use crate::report::document::Access;
use crate::report::grid::grouped;
use crate::report::story::words::short;
use crate::report::story::{Case, Story};

/// Rows and columns of the picture.
const PRINCIPALS: usize = 12;
const BUCKETS: usize = 10;

/// Places kept for those that incidents are about.
const MARKED: usize = 5;

/// Columns that the picture has room for at least, so that few of them stay together.
const LEAST: usize = 6;

/// Rows of the table behind it.
const ROWS: usize = 60;

/// Height of a row, of the head, and the largest radius, in pixels.
const ROW: usize = 52;
const HEAD: usize = 24;
const RADIUS: f64 = 13.0;

/// Of an incident.
pub(in crate::report::html) fn of_case(case: &Case<'_>) -> Markup {
    let access = case
        .detail
        .and_then(|d| d.requests.as_ref())
        .map(|r| r.access.as_slice());
    let access = access.unwrap_or_default();
    html! {
        @if !access.is_empty() {
            h3 { "Which principal used which bucket" }
            (picture(format!("matrix-{}", case.number), "Bytes of this incident by principal and bucket", access, &BTreeSet::new()))
        }
    }
}

/// Of the archive; what incidents are about is marked.
pub(in crate::report::html) fn of_account(story: &Story<'_>) -> Markup {
    let Some(access) = story.document.access.as_deref().filter(|a| !a.is_empty()) else {
        return html! {};
    };
    let of_case = |c: &Case<'_>| {
        c.detail
            .and_then(|d| d.requests.as_ref())
            .map(|r| pairs(&r.access))
            .unwrap_or_default()
    };
    let marked: BTreeSet<(String, String)> = story.cases.iter().flat_map(of_case).collect();
    html! {
        h3 { "Who uses which bucket" }
        (picture("matrix-all".to_owned(), "Bytes by principal and bucket, incidents marked", access, &marked))
    }
}

fn pairs(access: &[Access]) -> Vec<(String, String)> {
    access.iter().map(|a| (a.principal.clone(), a.bucket.clone())).collect()
}

fn moved(a: &Access) -> u128 {
    a.read.get().saturating_add(a.written.get())
}

/// The names with most bytes, largest first; some that incidents are about have their place, however small.
fn largest<'a>(
    access: &'a [Access],
    name: impl Fn(&'a Access) -> &'a str,
    most: usize,
    marked: &BTreeSet<&str>,
) -> Vec<&'a str> {
    let mut sums: BTreeMap<&str, (u128, u64)> = BTreeMap::new();
    for a in access {
        let sum = sums.entry(name(a)).or_default();
        *sum = (sum.0.saturating_add(moved(a)), sum.1.saturating_add(a.requests));
    }
    let mut all: Vec<_> = sums.into_iter().collect();
    all.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    let names = |all: &[(&'a str, (u128, u64))]| all.iter().map(|(n, _)| *n).collect::<Vec<_>>();
    let told: Vec<_> = all
        .iter()
        .filter(|(n, _)| marked.contains(n))
        .take(MARKED)
        .copied()
        .collect();
    let mut shown: BTreeSet<&str> = names(&told).into_iter().collect();
    for (n, _) in &all {
        if shown.len() < most {
            shown.insert(n);
        }
    }
    all.retain(|(n, _)| shown.contains(n));
    names(&all)
}

fn picture(id: String, caption: &str, access: &[Access], marked: &BTreeSet<(String, String)>) -> Markup {
    let who = marked.iter().map(|(p, _)| p.as_str()).collect();
    let what = marked.iter().map(|(_, b)| b.as_str()).collect();
    let principals = largest(access, |a| &a.principal, PRINCIPALS, &who);
    let buckets = largest(access, |a| &a.bucket, BUCKETS, &what);
    let told = |a: &Access| {
        vec![
            short(&a.principal),
            a.bucket.clone(),
            grouped(a.requests.into()),
            grouped(a.objects.into()),
            human_bytes(a.read.get()),
            human_bytes(a.written.get()),
        ]
    };
    let rows: Vec<Vec<String>> = access.iter().take(ROWS).map(told).collect();
    let drawn = Picture {
        id,
        caption: caption.to_owned(),
        description: format!(
            "{} principals and {} buckets with most bytes.",
            principals.len(),
            buckets.len()
        ),
        height: HEAD + ROW * principals.len(),
        drawing: drawing(access, &principals, &buckets, marked),
        table: table(
            &["Principal", "Bucket", "Requests", "Objects", "Read", "Written"],
            &rows,
        ),
    };
    html! {
        div.matrix {
            (drawn.draw())
            ol.key { @for b in &buckets { li { (b) } } }
        }
    }
}

fn drawing(access: &[Access], principals: &[&str], buckets: &[&str], marked: &BTreeSet<(String, String)>) -> Markup {
    let most = access.iter().map(moved).max().unwrap_or(0).max(1);
    let width = 1.0 / buckets.len().max(LEAST) as f64;
    let x = |n: usize| share((n as f64 + 0.5) * width);
    let at = |p: &str, b: &str| {
        let both: Vec<&Access> = access.iter().filter(|a| a.principal == p && a.bucket == b).collect();
        (!both.is_empty()).then(|| both.iter().map(|a| moved(a)).fold(0, u128::saturating_add))
    };
    let radius = |bytes: u128| format!("{:.1}", (RADIUS * (bytes as f64 / most as f64).sqrt()).max(2.0));
    let class = |p: &str, b: &str| {
        let of_incident = marked.is_empty() || marked.contains(&(p.to_owned(), b.to_owned()));
        if of_incident { "disc marked" } else { "disc" }
    };
    html! {
        @for (n, _) in buckets.iter().enumerate() {
            text.tick x=(x(n)) y="14" text-anchor="middle" { (n + 1) }
        }
        @for (row, p) in principals.iter().enumerate() {
            @let y = HEAD + row * ROW;
            line.grid x1="0" x2="100%" y1=(y) y2=(y) {}
            text.label x="0" y=(y + 15) { (cut(&short(p), 46)) }
            @for (n, b) in buckets.iter().enumerate() {
                @if let Some(bytes) = at(p, b) {
                    circle class=(class(p, b)) cx=(x(n)) cy=(y + 34) r=(radius(bytes)) {}
                }
            }
        }
    }
}
