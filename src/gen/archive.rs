//! Records and calls into files, under the names that AWS gives them.
//!
//! A flow log file holds the records whose `end` lies in its five minutes; a CloudTrail file the calls of a quarter of an
//! hour (an hour in the small account). Content is sorted, so that one incident less is some lines less.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use super::events::Event;
use super::flows::Flow;
use super::lines;
use super::rng::Rng;
use super::world::{ACCOUNT, REGION, World};
use super::{Counts, Options};
use crate::error::{Error, Result};
use crate::net::{Seconds, rfc3339};

/// Where everything is written.
pub(super) struct Archive<'a> {
    out: &'a Path,
    plain: bool,
}

impl<'a> Archive<'a> {
    /// An archive in a folder that is new or empty.
    pub(super) fn new(out: &'a Path, plain: bool) -> Result<Self> {
        let occupied = fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(Error::usage("the folder is not empty: name a new one").at(out));
        }
        Ok(Archive { out, plain })
    }

    /// A file as it is.
    pub(super) fn text(&self, path: &str, content: &str) -> Result<()> {
        self.put(&self.out.join(path), content.as_bytes())
    }

    /// A log file: compressed unless plain text was asked for.
    fn log(&self, path: &str, content: &str) -> Result<()> {
        if self.plain {
            return self.text(path, content);
        }
        let mut gz = GzBuilder::new()
            .mtime(0)
            .operating_system(255)
            .write(Vec::new(), Compression::best());
        let path = self.out.join(format!("{path}.gz"));
        let packed = gz.write_all(content.as_bytes()).and_then(|()| gz.finish());
        self.put(&path, &packed.map_err(|e| Error::output(&path, e))?)
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(path, bytes))
            .map_err(|e| Error::output(path, e))
    }

    /// All flow log files. The records must be sorted.
    pub(super) fn flows(&self, world: &World, options: &Options, flows: &[Flow], counts: &mut Counts) -> Result<()> {
        let header = lines::header(options.format);
        for slot in flows.chunk_by(|a, b| a.end / 300 == b.end / 300) {
            let mut content = format!("{header}\n");
            for flow in slot {
                lines::push(&mut content, world, options.format, flow);
                counts.flow(flow);
            }
            self.log(
                &flow_path(world, slot.first().map_or(0, |f| f.end / 300 * 300)),
                &content,
            )?;
            counts.flow_files += 1;
        }
        Ok(())
    }

    /// All CloudTrail files. The events must be sorted.
    pub(super) fn events(&self, world: &World, events: &[Event], counts: &mut Counts) -> Result<()> {
        let slot = if world.small { 3_600 } else { 900 };
        for part in events.chunk_by(|a, b| a.time / slot == b.time / slot) {
            let records: Vec<&str> = part.iter().map(|e| e.json.as_str()).collect();
            let content = format!("{{\"Records\":[{}]}}", records.join(","));
            let stamp = part.first().map_or(0, |e| (e.time / slot + 1) * slot);
            self.log(&trail_path(world, stamp), &content)?;
            counts.trail_files += 1;
            counts.trail_records += part.len() as u64;
        }
        Ok(())
    }
}

fn flow_path(world: &World, slot: Seconds) -> String {
    let ([year, month, day], stamp) = (date(slot), stamp(slot));
    let hash = Rng::fork(world.seed, &format!("flow file {slot}")).hex(8);
    let fl = &world.flow_log;
    let folder = format!("flow/AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{year}/{month}/{day}");
    format!("{folder}/{ACCOUNT}_vpcflowlogs_{REGION}_{fl}_{stamp}_{hash}.log")
}

fn trail_path(world: &World, slot: Seconds) -> String {
    let ([year, month, day], stamp) = (date(slot), stamp(slot));
    let unique = Rng::fork(world.seed, &format!("trail file {slot}")).base32(16);
    let folder = format!("trail/AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{year}/{month}/{day}");
    format!("{folder}/{ACCOUNT}_CloudTrail_{REGION}_{stamp}_{unique}.json")
}

/// Year, month and day as AWS's folders have them.
fn date(t: Seconds) -> [String; 3] {
    let text = rfc3339(t);
    [0..4, 5..7, 8..10].map(|r| text.get(r).unwrap_or_default().to_owned())
}

/// `20260302T0247Z`
fn stamp(t: Seconds) -> String {
    let text: String = rfc3339(t).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{}Z", text.get(..13).unwrap_or_default())
}
