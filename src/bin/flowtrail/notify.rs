//! `scan --notify`: the targets of the configuration file that were asked for, and the journal of what they were told.

use crate::args::JudgeArgs;
use crate::run;
use flowtrail::incident::Incident;
use flowtrail::notify::{Journal, Notice, Sender, Target, Told, deliver};
use flowtrail::{Error, ErrorKind};
use std::path::PathBuf;

/// Whom to tell, and where it is noted. Everything that can be wrong with it is found before a log is read.
pub(crate) struct Duty {
    senders: Vec<Sender>,
    journal: PathBuf,
}

impl Duty {
    /// What `--notify` asks for; nothing is sent yet.
    pub(crate) fn open(args: &JudgeArgs, targets: &[Target]) -> flowtrail::Result<Duty> {
        let mut senders: Vec<Sender> = Vec::new();
        for name in &args.notify {
            if !senders.iter().any(|s| s.target.name == *name) {
                senders.push(find(name, targets)?.open(&|v| std::env::var(v).ok())?);
            }
        }
        let journal = match &args.notify_journal {
            Some(path) => path.clone(),
            None if senders.is_empty() => PathBuf::new(),
            None => in_state_folder()?,
        };
        if !senders.is_empty() {
            // A journal that is damaged, or cannot be locked, is said now and not after an hour.
            drop(Journal::open(&journal)?);
        }
        Ok(Duty { senders, journal })
    }

    /// Tells the incidents, and what waits from earlier runs. The exit code: 4 if something could not be sent.
    pub(crate) fn tell(&self, incidents: &[Incident], quiet: bool) -> anyhow::Result<u8> {
        if self.senders.is_empty() {
            return Ok(run::DONE);
        }
        let findings = incidents.iter().map(|i| Ok(Notice::of(serde_json::to_value(i)?)?));
        let notices: Vec<Notice> = findings.collect::<anyhow::Result<_>>()?;
        let mut journal = Journal::open(&self.journal)?;
        let told = deliver(&self.senders, &notices, &mut journal, &mut |d| std::thread::sleep(d))?;
        for t in told.iter().filter(|t| !quiet || t.waiting > 0) {
            run::warn(&says(t));
        }
        let failed = told.iter().any(|t| t.waiting > 0);
        Ok(if failed { run::OUTPUT } else { run::DONE })
    }
}

fn find<'t>(name: &str, targets: &'t [Target]) -> flowtrail::Result<&'t Target> {
    let found = targets.iter().find(|t| t.name == name);
    found.ok_or_else(|| {
        let known: Vec<&str> = targets.iter().map(|t| t.name.as_str()).collect();
        let known = match known.is_empty() {
            true => "there is none".to_owned(),
            false => format!("there is {}", known.join(", ")),
        };
        Error::usage(format!(
            "--notify {name}: no such target; a table [notify.{name}] of the configuration file makes one ({known})"
        ))
    })
}

/// `flowtrail/notify.journal` in the user's folder for state.
fn in_state_folder() -> flowtrail::Result<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME").or_else(|| folder("LOCALAPPDATA"));
    let state = state.or_else(|| Some(folder("HOME")?.join(".local/state")));
    let none = || Error::usage("there is no folder for state (HOME): say where with --notify-journal FILE");
    let folder = state.ok_or_else(none)?.join("flowtrail");
    std::fs::create_dir_all(&folder).map_err(|e| Error::new(ErrorKind::Output(e)).at(&folder))?;
    Ok(folder.join("notify.journal"))
}

/// A line on one target.
fn says(t: &Told) -> String {
    let mut parts = vec![format!("{} sent", t.sent)];
    let more = [
        (t.known, "sent before"),
        (t.held, "held: they may have arrived"),
        (t.waiting, "not sent, the next run tries again"),
    ];
    parts.extend(
        more.into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}")),
    );
    let why = t.reason.as_ref().map_or_else(String::new, |r| format!(": {r}"));
    format!("notify {}: {}{why}", t.target, parts.join(", "))
}
