//! AWS's address prefixes: ip-ranges.json of any year, and VPC prefix lists as the AWS CLI prints them.
//!
//! Rows are taken one by one, so that a bad one costs only itself. The file of 2015 has no S3 and that of 2017 no border
//! groups: nothing but prefix, region and service is asked for. `get-managed-prefix-list-entries` does not say whose
//! entries it prints: the list's name or id is looked for in the file's name.
//! <https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html>

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use nom::bytes::complete::{tag, take_till1};
use nom::combinator::{opt, rest};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::{ListInfo, ListKind};
use super::owner::{Claims, Layer, Owner};
use super::prefix::Prefix;
use super::text::{self, without_bom};

/// Claims what ip-ranges.json says.
pub(super) fn ip_ranges(path: &Path, claims: &mut Claims) -> ListInfo {
    let (mut info, bytes) = ListInfo::read(ListKind::Aws, path);
    let before = claims.len();
    let Some(file) = json::<IpRanges>(&bytes, "ip-ranges.json", &mut info) else {
        return info;
    };
    info.date = file.create_date.as_deref().and_then(create_date);
    let mut s3 = 0;
    for (name, rows) in [("prefixes", &file.prefixes), ("ipv6_prefixes", &file.ipv6_prefixes)] {
        for (i, row) in rows.iter().enumerate() {
            match row_owner(row) {
                Ok((prefix, owner)) => {
                    info.good += 1;
                    s3 += u64::from(owner.class == crate::net::Class::S3);
                    claims.add(prefix, Layer::Aws, owner);
                }
                Err(reason) => info.reject(&format!(" {name}[{i}]"), &reason),
            }
        }
    }
    if s3 == 0 && info.good > 0 {
        info.warnings.push(format!(
            "{}: no S3 prefix in it: traffic to S3 is classed aws",
            info.source
        ));
    }
    info.finish((claims.len() - before) as u64);
    info
}

#[derive(Deserialize)]
struct IpRanges<'a> {
    #[serde(rename = "createDate", borrow, default)]
    create_date: Option<Cow<'a, str>>,
    #[serde(borrow)]
    prefixes: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    ipv6_prefixes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(alias = "ipv6_prefix", borrow)]
    ip_prefix: Cow<'a, str>,
    #[serde(borrow, default)]
    region: Option<Cow<'a, str>>,
    #[serde(borrow)]
    service: Cow<'a, str>,
}

fn row_owner(row: &RawValue) -> Result<(Prefix, Owner), String> {
    let row: Row<'_> = serde_json::from_str(row.get()).map_err(|e| e.to_string())?;
    let prefix = Prefix::parse(&row.ip_prefix).ok_or_else(|| text::not_an_address(row.ip_prefix.as_bytes()))?;
    Ok((prefix, Owner::aws(&row.service, row.region.as_deref())))
}

/// `2026-08-22-15-17-05` in UTC.
fn create_date(text: &str) -> Option<String> {
    let time = jiff::civil::DateTime::strptime("%Y-%m-%d-%H-%M-%S", text).ok()?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().to_string())
}

/// Parses `bytes`, or says in `info` that they are not what was expected; nothing if the file could not be read.
fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str, info: &mut ListInfo) -> Option<T> {
    if info.file_error.is_some() {
        return None;
    }
    let parsed = std::str::from_utf8(without_bom(bytes)).map_err(|e| e.to_string());
    match parsed.and_then(|s| serde_json::from_str(s).map_err(|e| e.to_string())) {
        Ok(value) => Some(value),
        Err(e) => {
            info.file_error = Some(format!("not {what}: {e}"));
            None
        }
    }
}

/// Prefix lists as they are read; names are resolved when all files are known.
#[derive(Debug, Default)]
pub(super) struct PrefixLists {
    names: BTreeMap<String, String>,
    blocks: Vec<Block>,
}

/// The prefixes of one list in one file.
#[derive(Debug)]
struct Block {
    /// The list's name or id, as far as content or file name tell it.
    label: Option<String>,
    prefixes: Vec<Prefix>,
    /// Index of its file.
    file: usize,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "PrefixLists", borrow, default)]
    lists: Option<Vec<Described<'a>>>,
    #[serde(rename = "Entries", borrow, default)]
    entries: Option<Vec<EntryRow<'a>>>,
}

#[derive(Deserialize)]
struct Described<'a> {
    #[serde(rename = "PrefixListId", borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "PrefixListName", borrow)]
    name: Cow<'a, str>,
    #[serde(rename = "Cidrs", borrow, default)]
    cidrs: Vec<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct EntryRow<'a> {
    #[serde(rename = "Cidr", borrow)]
    cidr: Cow<'a, str>,
}

/// Claims what all prefix lists say; one [`ListInfo`] a file.
pub(super) fn prefix_lists(paths: &[std::path::PathBuf], claims: &mut Claims) -> Vec<ListInfo> {
    let mut lists = PrefixLists::default();
    let mut infos: Vec<ListInfo> = paths.iter().enumerate().map(|(i, path)| lists.read(i, path)).collect();
    for (i, info) in infos.iter_mut().enumerate() {
        let entries = lists.claim(i, info, claims);
        if info.file_error.is_none() {
            info.finish(entries);
        }
    }
    infos
}

impl PrefixLists {
    fn read(&mut self, file: usize, path: &Path) -> ListInfo {
        let (mut info, bytes) = ListInfo::read(ListKind::PrefixList, path);
        let label = label_of(path);
        if !without_bom(&bytes).trim_ascii_start().starts_with(b"{") {
            let prefixes = text::addresses(&bytes, &mut info);
            self.blocks.push(Block { label, prefixes, file });
        } else if let Some(answer) = json::<Answer>(&bytes, "an answer of describe-prefix-lists or its kin", &mut info)
        {
            self.take(answer, label, file, &mut info);
        }
        info
    }

    fn take(&mut self, answer: Answer<'_>, label: Option<String>, file: usize, info: &mut ListInfo) {
        for list in answer.lists.unwrap_or_default() {
            self.names
                .insert(list.id.clone().into_owned(), list.name.clone().into_owned());
            info.good += u64::from(list.cidrs.is_empty());
            let prefixes = cidrs(list.cidrs.iter(), info);
            self.blocks.push(Block {
                label: Some(list.name.into_owned()),
                prefixes,
                file,
            });
        }
        if let Some(entries) = answer.entries {
            let prefixes = cidrs(entries.iter().map(|e| &e.cidr), info);
            self.blocks.push(Block { label, prefixes, file });
        }
    }

    /// Claims the blocks of one file and returns how many prefixes that were.
    fn claim(&self, file: usize, info: &mut ListInfo, claims: &mut Claims) -> u64 {
        let before = claims.len();
        for block in self.blocks.iter().filter(|b| b.file == file && !b.prefixes.is_empty()) {
            let label = block.label.as_ref().map(|l| self.names.get(l).unwrap_or(l));
            match label.map(|l| (l, owner_of_list(l))) {
                Some((_, Some(owner))) => block
                    .prefixes
                    .iter()
                    .for_each(|p| claims.add(*p, Layer::PrefixList, owner.clone())),
                Some((name, None)) if !name.starts_with("pl-") => info.warnings.push(not_of_aws(info, name)),
                _ => {
                    info.warnings.push(format!("{}: {UNNAMED}", info.source));
                    block
                        .prefixes
                        .iter()
                        .for_each(|p| claims.add(*p, Layer::PrefixList, Owner::aws("S3", None)));
                }
            }
        }
        (claims.len() - before) as u64
    }
}

fn cidrs<'a>(texts: impl Iterator<Item = &'a Cow<'a, str>>, info: &mut ListInfo) -> Vec<Prefix> {
    let mut out = Vec::new();
    for text in texts {
        match Prefix::parse(text) {
            Some(prefix) => {
                info.good += 1;
                out.push(prefix);
            }
            None => info.reject(" Cidr", &text::not_an_address(text.as_bytes())),
        }
    }
    out
}

fn not_of_aws(info: &ListInfo, name: &str) -> String {
    format!(
        "{}: `{}` is not a list of AWS's: its prefixes change no class",
        info.source,
        crate::net::printable(name.as_bytes())
    )
}

/// The list's name (`com.amazonaws.…`) or id (`pl-…`) in a file's name.
fn label_of(path: &Path) -> Option<String> {
    let stem = path.file_name()?.to_str()?;
    let stem = [".json", ".txt", ".lst", ".list", ".cidr", ".csv"]
        .iter()
        .find_map(|e| stem.strip_suffix(e))
        .unwrap_or(stem);
    if let Some(at) = stem.find("com.amazonaws.") {
        return stem.get(at..).map(str::to_owned);
    }
    let id = stem.get(stem.find("pl-")?..)?;
    let end = id
        .bytes()
        .skip(3)
        .position(|b| !b.is_ascii_hexdigit())
        .map_or(id.len(), |n| n + 3);
    if end >= 11 {
        id.get(..end).map(str::to_owned)
    } else {
        None
    }
}

/// `com.amazonaws.us-east-1.s3` is S3 in us-east-1; other services are written as ip-ranges.json would.
fn owner_of_list(name: &str) -> Option<Owner> {
    let (_, (region, service)) = list_name(name).ok()?;
    let service = service.to_ascii_uppercase().replace(['.', '-'], "_");
    let region = if region == "global" { "GLOBAL" } else { region };
    Some(Owner::aws(&service, Some(region)))
}

/// `"com.amazonaws." region "." [ "ipv6." ] service`
fn list_name(i: &str) -> IResult<&str, (&str, &str)> {
    let region = preceded(tag("com.amazonaws."), terminated(take_till1(|c| c == '.'), tag(".")));
    (region, preceded(opt(tag("ipv6.")), rest)).parse(i)
}

/// Said of a list that tells nowhere what it is.
const UNNAMED: &str =
    "taken as S3's; put the list's name (com.amazonaws.REGION.SERVICE) or id into the file's name to say otherwise";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Class;

    fn file(dir: &tempfile::TempDir, name: &str, content: &str) -> std::path::PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn a_bad_row_costs_only_itself_and_old_years_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"createDate":"2015-09-01-16-15-21","prefixes":[{"ip_prefix":"50.19.0.0/16","region":"us-east-1","service":"AMAZON"},
            {"ip_prefix":"50.19.0.0/16","region":"us-east-1","service":"EC2"},{"ip_prefix":"x","region":"r","service":"S3"}]}"#;
        let mut claims = Claims::new(&[]);
        let info = ip_ranges(&file(&dir, "ip-ranges.json", text), &mut claims);
        assert_eq!((info.good, info.rejected, info.file_error.as_deref()), (2, 1, None));
        assert_eq!(info.date.as_deref(), Some("2015-09-01T16:15:21Z"));
        assert!(
            info.warnings[0].ends_with(" prefixes[2]: not an address or CIDR: `x`"),
            "{:?}",
            info.warnings
        );
        assert!(info.warnings[1].contains("no S3 prefix"));
        assert_eq!(claims.decide().class("50.19.1.1".parse().unwrap()), Class::Aws);
    }

    #[test]
    fn prefix_lists_name_their_service_inside_or_in_the_file_name() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [
            file(
                &dir,
                "names.json",
                r#"{"PrefixLists":[{"PrefixListId":"pl-02cd2c6b","PrefixListName":"com.amazonaws.eu-west-1.dynamodb"}]}"#,
            ),
            file(
                &dir,
                "entries-pl-02cd2c6b.json",
                r#"{"Entries":[{"Cidr":"198.51.100.0/25"}]}"#,
            ),
            file(
                &dir,
                "com.amazonaws.us-east-1.s3.json",
                r#"{"Entries":[{"Cidr":"198.51.100.128/25","Description":""}]}"#,
            ),
            file(&dir, "cidrs.txt", "203.0.113.0/24\n# done\n"),
            file(
                &dir,
                "vpc.json",
                r#"{"PrefixLists":[{"PrefixListId":"pl-1","PrefixListName":"vpc-cidrs","Cidrs":["192.0.2.0/24"]}]}"#,
            ),
        ];
        let mut claims = Claims::new(&[]);
        let infos = prefix_lists(&paths, &mut claims);
        assert!(infos.iter().all(|i| i.file_error.is_none()), "{infos:?}");
        let owners = claims.decide();
        let owner = |s: &str| owners.owner(s.parse().unwrap()).cloned().unwrap();
        assert_eq!(owner("198.51.100.1"), Owner::aws("DYNAMODB", Some("eu-west-1")));
        assert_eq!(owner("198.51.100.200"), Owner::aws("S3", Some("us-east-1")));
        assert_eq!(owner("203.0.113.7"), Owner::aws("S3", None));
        assert_eq!(owner("192.0.2.1").class, Class::External);
        assert!(infos[3].warnings[0].contains("taken as S3's") && infos[4].warnings[0].contains("not a list of AWS's"));
    }

    #[test]
    fn names_of_managed_lists() {
        assert_eq!(
            owner_of_list("com.amazonaws.us-west-2.s3express").unwrap().class,
            Class::S3
        );
        assert_eq!(
            owner_of_list("com.amazonaws.global.cloudfront.origin-facing"),
            Some(Owner::aws("CLOUDFRONT_ORIGIN_FACING", Some("GLOBAL")))
        );
        assert_eq!(
            owner_of_list("com.amazonaws.us-east-1.ipv6.vpc-lattice"),
            Some(Owner::aws("VPC_LATTICE", Some("us-east-1")))
        );
        assert_eq!(owner_of_list("All VPC CIDR"), None);
        assert_eq!(
            label_of(Path::new("a/pl-63a5400a.json")).as_deref(),
            Some("pl-63a5400a")
        );
        assert_eq!(label_of(Path::new("a/simple-list.txt")), None);
    }

    #[test]
    fn json_of_another_kind_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut claims = Claims::new(&[]);
        assert!(
            ip_ranges(&file(&dir, "a.json", "{\"Records\":[]}"), &mut claims)
                .file_error
                .unwrap()
                .contains("prefixes")
        );
        assert!(
            prefix_lists(&[file(&dir, "b.json", "{\"Records\":[]}")], &mut claims)[0]
                .file_error
                .is_some()
        );
        assert!(
            ip_ranges(&dir.path().join("absent"), &mut claims)
                .file_error
                .unwrap()
                .contains("cannot be read")
        );
    }
}
