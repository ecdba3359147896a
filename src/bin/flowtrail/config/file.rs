//! A configuration file, read and checked: each table is a command's, `common`, `detect` or `notify`, each key
//! an option's name.
//!
//! Unknown tables and keys are errors that name the nearest known one. Messages name places and keys, never values.

use clap::{Arg, ArgAction, Command};
use flowtrail::Error;
use flowtrail::detect::Settings;
use flowtrail::notify::Target;
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The table whose keys hold for every command that has such an option.
pub(crate) const COMMON: &str = "common";
/// The table of the detectors' parameters.
pub(crate) const DETECT: &str = "detect";
/// The table of the tables of the targets of `--notify`.
pub(crate) const NOTIFY: &str = "notify";

/// A file that was checked.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Everything in it.
    pub(crate) tables: Table,
    /// The detectors' part.
    pub(crate) settings: Settings,
    /// The targets' part.
    pub(crate) targets: Vec<Target>,
}

impl File {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path, root: &Command) -> flowtrail::Result<File> {
        let wrong = |text: String| Error::usage(text).at(path);
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let tables = parse(&text).map_err(wrong)?;
        check(&tables, root).map_err(wrong)?;
        let settings = tables.get(DETECT).map_or_else(|| Ok(Settings::default()), settings);
        Ok(File {
            path: path.to_path_buf(),
            targets: targets(&tables).map_err(|e| e.at(path))?,
            settings: settings.map_err(wrong)?,
            tables,
        })
    }

    /// The value of a key for a command, and the table that it stands in.
    pub(crate) fn value(&self, command: &[&str], arg: &Arg) -> Option<(&Value, String)> {
        let key = key(arg);
        let own = command
            .iter()
            .try_fold(&self.tables, |t, name| t.get(*name)?.as_table());
        if let Some(value) = own.and_then(|t| t.get(&key)) {
            return Some((value, command.join(".")));
        }
        let common = self.tables.get(COMMON)?.as_table()?.get(&key)?;
        (!arg.is_positional()).then(|| (common, COMMON.to_string()))
    }
}

/// TOML, or the line that is none.
fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|e| {
        let line = e
            .span()
            .and_then(|s| text.get(..s.start))
            .map_or(1, |t| t.matches('\n').count() + 1);
        format!("line {line}: {}", e.message())
    })
}

/// The name of an option in the file: as typed, without its hyphens; of a positional argument, its name.
pub(crate) fn key(arg: &Arg) -> String {
    arg.get_long()
        .map_or_else(|| arg.get_id().as_str().replace('_', "-"), String::from)
}

/// What may stand in a command's table.
pub(crate) fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let own = |a: &&Arg| !matches!(a.get_id().as_str(), "config" | "help" | "version");
    command.get_arguments().filter(own)
}

/// Commands that a file may speak of.
pub(crate) fn commands(root: &Command) -> impl Iterator<Item = &Command> {
    let own = |c: &&Command| !c.is_hide_set() && !matches!(c.get_name(), "config" | "help");
    root.get_subcommands().filter(own)
}

fn check(tables: &Table, root: &Command) -> Result<(), String> {
    for (name, value) in tables {
        let table = value.as_table().ok_or_else(|| {
            format!("`{name}` stands in no table: put it under [{COMMON}], or under the command that it is for")
        })?;
        match (name.as_str(), commands(root).find(|c| c.get_name() == name)) {
            (DETECT | NOTIFY, _) => {}
            (COMMON, _) => check_common(table, root)?,
            (_, Some(command)) => check_command(table, command, name)?,
            _ => {
                let known = commands(root).map(|c| c.get_name().to_string()).chain([
                    COMMON.into(),
                    DETECT.into(),
                    NOTIFY.into(),
                ]);
                return Err(format!("there is no table [{name}]{}", hint(name, known)));
            }
        }
    }
    Ok(())
}

fn check_common(table: &Table, root: &Command) -> Result<(), String> {
    let known: Vec<&Arg> = leaves(root).flat_map(options).filter(|a| !a.is_positional()).collect();
    check_keys(table, &known, COMMON)
}

fn check_command(table: &Table, command: &Command, name: &str) -> Result<(), String> {
    let mut own = table.clone();
    for sub in command.get_subcommands() {
        let path = format!("{name}.{}", sub.get_name());
        match own.remove(sub.get_name()) {
            Some(Value::Table(t)) => check_command(&t, sub, &path)?,
            Some(_) => return Err(format!("[{path}] is not a table")),
            None => {}
        }
    }
    check_keys(&own, &options(command).collect::<Vec<_>>(), name)
}

fn check_keys(table: &Table, known: &[&Arg], name: &str) -> Result<(), String> {
    for (k, value) in table {
        let arg = known
            .iter()
            .find(|a| key(a) == *k)
            .ok_or_else(|| format!("[{name}] has no `{k}`{}", hint(k, known.iter().map(|a| key(a)))))?;
        words(arg, value).map_err(|e| format!("[{name}] {k}: {e}"))?;
    }
    Ok(())
}

/// The commands that have no commands below them.
pub(crate) fn leaves(root: &Command) -> impl Iterator<Item = &Command> {
    commands(root).flat_map(|c| {
        let below: Vec<&Command> = c.get_subcommands().collect();
        if below.is_empty() { vec![c] } else { below }
    })
}

/// A value as the words that would be typed for it.
pub(crate) fn words(arg: &Arg, value: &Value) -> Result<Vec<OsString>, String> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        let on = value.as_bool().ok_or("is on or off: give true or false")?;
        return Ok(if on {
            vec![format!("--{}", key(arg)).into()]
        } else {
            Vec::new()
        });
    }
    let values = match value {
        Value::Array(all) if takes_many(arg) => all.iter().map(scalar).collect::<Result<Vec<_>, _>>()?,
        Value::Array(_) => return Err("takes one value, not a list".into()),
        one => vec![scalar(one)?],
    };
    let word = |v: String| match arg.is_positional() {
        true => v.into(),
        false => format!("--{}={v}", key(arg)).into(),
    };
    Ok(values.into_iter().map(word).collect())
}

/// True if an option may be repeated.
pub(crate) fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(s) => Ok(s.clone()),
        Value::Array(_) | Value::Table(_) => Err("is neither text nor a number".into()),
        other => Ok(other.to_string()),
    }
}

/// The detectors' table. Names are written as in findings (`fan-out`) or as in the code (`fan_out`).
fn settings(table: &Value) -> Result<Settings, String> {
    let typed = underscored(table);
    let known = defaults();
    if let Some(table) = typed.as_table() {
        check_settings(table, &known, DETECT)?;
    }
    Settings::deserialize(typed).map_err(|e| format!("[{DETECT}]: {}", e.message()))
}

/// The tables `[notify.NAME]`.
fn targets(tables: &Table) -> flowtrail::Result<Vec<Target>> {
    let Some(all) = tables.get(NOTIFY).and_then(Value::as_table) else {
        return Ok(Vec::new());
    };
    let one = |(name, value): (&String, &Value)| match value {
        Value::Table(table) => Target::read(name, table),
        _ => Err(Error::usage(
            "[notify] holds tables only: one [notify.NAME] for each target",
        )),
    };
    all.iter().map(one).collect()
}

/// Every parameter at its default.
pub(crate) fn defaults() -> Table {
    let mut all = Table::try_from(Settings::default()).unwrap_or_default();
    // It is an option of the commands that judge: two places for one number would leave open which holds.
    all.remove("alert_budget");
    all
}

fn check_settings(table: &Table, known: &Table, name: &str) -> Result<(), String> {
    for (k, value) in table {
        let Some(default) = known.get(k) else {
            let names = known.keys().map(|k| k.replace('_', "-"));
            let shown = k.replace('_', "-");
            return Err(match shown.as_str() {
                "alert-budget" => format!("[{name}] has no `alert-budget`: it is an option, put it under [{COMMON}]"),
                _ => format!("[{name}] has no `{shown}`{}", hint(&shown, names)),
            });
        };
        let fits = value.same_type(default) || (value.is_integer() && default.is_float());
        if !fits {
            let (is, needs) = (value.type_str(), default.type_str());
            return Err(format!(
                "[{name}] {}: is of type {is}, and {needs} is needed",
                k.replace('_', "-")
            ));
        }
        if let (Value::Table(inner), Value::Table(known)) = (value, default) {
            check_settings(inner, known, &format!("{name}.{}", k.replace('_', "-")))?;
        }
    }
    Ok(())
}

fn underscored(value: &Value) -> Value {
    match value {
        Value::Table(t) => Value::Table(t.iter().map(|(k, v)| (k.replace('-', "_"), underscored(v))).collect()),
        other => other.clone(),
    }
}

/// The nearest name that is known, if one is near.
pub(crate) fn hint(typed: &str, known: impl Iterator<Item = String>) -> String {
    let near = known
        .map(|k| (strsim::jaro(typed, &k), k))
        .filter(|(likeness, _)| *likeness > 0.7);
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(String::new, |(_, k)| format!(": did you mean `{k}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn load(text: &str) -> flowtrail::Result<File> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        File::load(file.path(), &Cli::command())
    }

    fn error(text: &str) -> String {
        load(text).unwrap_err().to_string()
    }

    #[test]
    fn every_default_parameter_can_be_written_and_read_back() {
        let text = format!(
            "[detect]\n{}",
            toml::to_string(&defaults()).unwrap().replace("\n[", "\n[detect.")
        );
        let file = load(&text).unwrap();
        assert_eq!(format!("{:?}", file.settings), format!("{:?}", Settings::default()));
    }

    #[test]
    fn detectors_take_their_own_tables() {
        let file = load("[detect]\nfloor-bytes = 5\n[detect.fan-out]\nplaces = 7\n").unwrap();
        assert_eq!(file.settings.floor_bytes, 5);
        assert_eq!(file.settings.fan_out.places, 7);
        assert_eq!(file.settings.fan_out.surprise, Settings::default().fan_out.surprise);
    }

    #[test]
    fn what_is_unknown_is_an_error_that_names_what_was_meant() {
        assert!(error("[scna]\n").contains("no table [scna]: did you mean `scan`?"));
        assert!(
            error("[scan]\nmin-severty = \"low\"\n")
                .contains("[scan] has no `min-severty`: did you mean `min-severity`?")
        );
        assert!(error("[common]\nthread = 2\n").contains("did you mean `threads`?"));
        assert!(error("[detect.fan-uot]\n").contains("did you mean `fan-out`?"));
        assert!(
            error("[detect.fan-out]\nplace = 1\n").contains("[detect.fan-out] has no `place`: did you mean `places`?")
        );
        assert!(error("[detect]\nalert-budget = 2\n").contains("under [common]"));
        assert!(error("threads = 2\n").contains("stands in no table"));
    }

    /// What `fuzz/targets.rs` cannot reach, since the program's options stand in it: tables and keys against the commands.
    #[test]
    fn mutated_files_are_read_or_refused() {
        let root = Cli::command();
        let texts = [
            "[common]\nhome = [\"192.0.2.0/24\"]\nthreads = 2\nquiet = true\n[scan]\nmin-severity = \"high\"\n",
            "[index.build]\noutput = \"x\"\n[detect]\nfloor-bytes = 5\n[detect.fan-out]\nplaces = 7\nsurprise = 1.5\n",
            "[notify.soc]\nkind = \"webhook\"\nurl = \"https://a.example/\"\ntries = 3\nif-unsure = \"hold\"\n",
        ];
        let mut state = 12u64;
        let mut below = |n: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n.max(1)
        };
        let (mut read, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let mut bytes = texts[below(texts.len())].as_bytes().to_vec();
            for _ in 0..=below(4) {
                let at = below(bytes.len());
                match below(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, b"[]\"\n.=-#{}1e9"[below(13)]),
                    2 if at < bytes.len() => bytes[at] ^= 1 << below(7),
                    _ => drop(bytes.splice(at..at, texts[below(texts.len())].bytes().take(30))),
                }
            }
            let text = String::from_utf8_lossy(&bytes);
            let whole = parse(&text).and_then(|tables| {
                check(&tables, &root)?;
                targets(&tables).map_err(|e| e.to_string())?;
                tables.get(DETECT).map_or_else(|| Ok(Settings::default()), settings)
            });
            *if whole.is_ok() { &mut read } else { &mut refused } += 1;
        }
        assert!(
            read > 500 && refused > 500,
            "both happen: {read} read, {refused} refused"
        );
    }

    #[test]
    fn values_of_the_wrong_shape_are_errors() {
        assert!(error("[scan]\nquiet = \"yes\"\n").contains("give true or false"));
        assert!(error("[scan]\nformat = [\"json\", \"csv\"]\n").contains("takes one value"));
        assert!(error("[scan]\nthreads = \n").contains("line 2"));
        assert!(error("[detect.fan-out]\nplaces = \"many\"\n").contains("[detect.fan-out] places: is of type string"));
        assert!(load("[detect.fan-out]\nlargest = 1\n").is_ok());
    }
}
