//! The file that `config init` writes, and what `config show` says: both follow from the commands and the detectors.

use super::file::{COMMON, DETECT, File, NOTIFY, commands, defaults, hint, key, leaves, options, takes_many, words};
use super::merge::no_color;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use flowtrail::Error;
use flowtrail::detect::{DETECTORS, JOINT_DETECTORS, TRAIL_DETECTORS};
use std::collections::BTreeMap;
use std::fmt::Write;
use toml::{Table, Value};

const HEAD: &str = "\
# The configuration of flowtrail. It is read when it is named: `--config FILE`, or FLOWTRAIL_CONFIG in the environment.
# What is typed wins over this file, option by option; a command's own table wins over [common]. Paths are taken from the
# folder that flowtrail is started in. `flowtrail config show` says what holds, and from where.
#
# Every line below is a comment that shows a default, or an empty value where there is none: take the # away and change it.
";

/// The commented file.
pub(crate) fn template(root: &Command) -> String {
    let shared = shared(root);
    let mut out = format!("{HEAD}\n# Options of several commands.\n[{COMMON}]\n");
    shared.values().for_each(|arg| line(&mut out, arg));
    for (path, command) in paths(root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(out, "\n# {about}\n[{path}]\n");
        let own = options(command).filter(|a| !shared.contains_key(&key(a)));
        own.for_each(|arg| line(&mut out, arg));
    }
    detectors(&mut out);
    out.push_str(TARGETS);
    out
}

const TARGETS: &str = "
# Whom `scan --notify NAME` tells: a table for each, with a name of your own. docs/guide/notify.md says more. Secrets stand
# in the environment; a key that ends in -env holds the name of the variable.
#[notify.pager]
#kind = \"pagerduty\"
#key-env = \"PAGERDUTY_KEY\"
#min-severity = \"high\"
#[notify.chat]
#kind = \"slack\"
#url-env = \"SLACK_URL\"
#[notify.tickets]
#kind = \"webhook\"
#url = \"https://tickets.example.com/hook\"
#secret-env = \"HOOK_SECRET\"
#[notify.siem]
#kind = \"syslog\"
#address = \"logs.example.com:6514\"
#tls = true
";

/// An option as a comment: what it is, and its default.
fn line(out: &mut String, arg: &Arg) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    for text in help.lines() {
        let _ = writeln!(out, "# {text}");
    }
    let _ = writeln!(out, "#{} = {}", key(arg), default(arg).unwrap_or_else(|| empty(arg)));
}

/// The default as TOML, if there is one.
fn default(arg: &Arg) -> Option<Value> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Some(Value::Boolean(false));
    }
    let text = arg.get_default_values().first()?.to_str()?;
    let number = text.parse().ok().map(Value::Integer);
    Some(number.unwrap_or_else(|| Value::String(text.into()))).filter(|v| v.as_str() != Some(""))
}

fn empty(arg: &Arg) -> Value {
    match takes_many(arg) {
        true => Value::Array(Vec::new()),
        false => Value::String(String::new()),
    }
}

/// Options that mean the same in three commands or more, in the order in which they are met.
fn shared(root: &Command) -> BTreeMap<String, &Arg> {
    let mut met: BTreeMap<String, Vec<&Arg>> = BTreeMap::new();
    for arg in leaves(root).flat_map(options).filter(|a| !a.is_positional()) {
        met.entry(key(arg)).or_default().push(arg);
    }
    let same = |args: &Vec<&Arg>| args.len() > 2 && args.windows(2).all(|w| w[0].get_help() == w[1].get_help());
    let shared = met.into_iter().filter(|(_, args)| same(args));
    shared.filter_map(|(k, args)| Some((k, *args.first()?))).collect()
}

/// Commands without commands below them, with the names of their tables.
fn paths(root: &Command) -> Vec<(String, &Command)> {
    let mut all = Vec::new();
    for command in commands(root) {
        let name = command.get_name();
        let below: Vec<_> = command
            .get_subcommands()
            .map(|s| (format!("{name}.{}", s.get_name()), s))
            .collect();
        if below.is_empty() {
            all.push((name.to_string(), command));
        }
        all.extend(below);
    }
    all
}

fn detectors(out: &mut String) {
    let _ = write!(
        out,
        "\n# What detectors go by: docs/detectors/<name>.md says what each parameter is for.\n[{DETECT}]\n"
    );
    for (name, value) in scalars_first(&defaults()) {
        match value {
            Value::Table(own) => {
                let _ = write!(out, "\n{}[{DETECT}.{name}]\n", title(&name));
                for (k, v) in scalars_first(&own) {
                    let _ = writeln!(out, "#{k} = {v}");
                }
            }
            value => {
                let _ = writeln!(out, "#{name} = {value}");
            }
        }
    }
}

/// Keys with hyphens; what is no table comes first, as TOML wants it.
fn scalars_first(table: &Table) -> Vec<(String, Value)> {
    let mut all: Vec<_> = table.iter().map(|(k, v)| (k.replace('_', "-"), v.clone())).collect();
    all.sort_by_key(|(_, v)| v.is_table());
    all
}

fn title(name: &str) -> String {
    let flows = DETECTORS.iter().map(|d| d.meta());
    let joint = JOINT_DETECTORS.iter().map(|d| d.meta());
    let mut all = flows.chain(TRAIL_DETECTORS.iter().map(|d| d.meta())).chain(joint);
    all.find(|m| m.id == name)
        .map_or_else(String::new, |m| format!("# {}.\n", m.title))
}

/// What holds, for one command or all.
///
/// # Errors
/// `Usage` if there is no such command, or the file gives an option a value that it does not take.
pub(crate) fn effective(root: &Command, file: Option<&File>, only: Option<&str>) -> flowtrail::Result<String> {
    let known = || {
        commands(root)
            .map(|c| c.get_name().to_string())
            .chain([DETECT.to_string(), NOTIFY.to_string()])
    };
    if let Some(name) = only.filter(|n| !known().any(|k| k == *n)) {
        return Err(Error::usage(format!(
            "there is no command `{name}`{}",
            hint(name, known())
        )));
    }
    let mut out = match file {
        Some(f) => format!("# file: {}\n", f.path.display()),
        None => "# no file: name one with --config FILE or FLOWTRAIL_CONFIG; everything is at its default\n".into(),
    };
    for (path, command) in paths(root) {
        let names: Vec<&str> = path.split('.').collect();
        if only.is_none_or(|o| names.first() == Some(&o)) {
            let _ = write!(out, "\n[{path}]\n");
            of_command(&mut out, root, command, &names, file)?;
        }
    }
    if only.is_none_or(|o| o == DETECT) {
        let _ = write!(out, "\n[{DETECT}]\n");
        parameters(&mut out, file);
    }
    if only.is_none_or(|o| o == NOTIFY) {
        let tables = file.and_then(|f| f.tables.get(NOTIFY)?.as_table());
        targets(&mut out, tables, |name| std::env::var_os(name).is_some());
    }
    Ok(out)
}

/// The targets. A URL may hold a secret, and so may a key that should hold a variable's name: neither is shown whole.
fn targets(out: &mut String, tables: Option<&Table>, is_set: impl Fn(&str) -> bool) {
    for (name, table) in tables.into_iter().flatten() {
        let _ = write!(out, "\n[{NOTIFY}.{name}]\n");
        for (k, value) in table.as_table().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let _ = match k.as_str() {
                k if k.ends_with("-env") && is_set(text) => writeln!(out, "{k} = {value}  # file; set"),
                k if k.ends_with("-env") => writeln!(out, "{k} = \"…\"  # file; the environment has no such variable"),
                "url" => writeln!(out, "url = \"…\"  # file"),
                k => writeln!(out, "{k} = {value}  # file"),
            };
        }
    }
}

fn of_command(
    out: &mut String,
    root: &Command,
    command: &Command,
    names: &[&str],
    file: Option<&File>,
) -> flowtrail::Result<()> {
    for arg in options(command) {
        let name = key(arg);
        let set = file.and_then(|f| f.value(names, arg).map(|v| (f, v)));
        match (set, default(arg)) {
            (Some(_), _) if name == "color" && no_color() => {
                let _ = writeln!(out, "color = \"never\"  # environment: NO_COLOR");
            }
            (Some((f, (value, table))), _) => {
                let taken = words(arg, value).ok().is_none_or(|w| takes(root, names, w));
                if !taken {
                    return Err(Error::usage(format!("[{table}] {name}: not a value that it takes")).at(&f.path));
                }
                let _ = writeln!(out, "{name} = {value}  # file, [{table}]");
            }
            (None, Some(value)) => {
                let _ = writeln!(out, "{name} = {value}  # default");
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// True if the command takes these words, whatever else it may still need.
fn takes(root: &Command, names: &[&str], words: Vec<std::ffi::OsString>) -> bool {
    let head = std::iter::once("flowtrail")
        .chain(names.iter().copied())
        .map(Into::into);
    let parsed = root.clone().try_get_matches_from(head.chain(words));
    parsed
        .map_err(|e| e.kind())
        .err()
        .is_none_or(|k| k == ErrorKind::MissingRequiredArgument)
}

/// The detectors' parameters that hold.
fn parameters(out: &mut String, file: Option<&File>) {
    let mut holds = defaults();
    if let Some(t) = file.and_then(|f| Table::try_from(&f.settings).ok()) {
        holds = t;
        holds.remove("alert_budget");
    }
    let set = file.and_then(|f| f.tables.get(DETECT)?.as_table());
    let source = |set: Option<&Table>, k: &str| {
        let is_set = set.is_some_and(|t| t.keys().any(|s| s.replace('_', "-") == k));
        if is_set { "file" } else { "default" }
    };
    for (name, value) in scalars_first(&holds) {
        let Value::Table(own) = value else {
            let _ = writeln!(out, "{name} = {value}  # {}", source(set, &name));
            continue;
        };
        let inner = set.and_then(|t| t.iter().find(|(k, _)| k.replace('_', "-") == name)?.1.as_table());
        let _ = write!(out, "\n[{DETECT}.{name}]\n");
        for (k, v) in scalars_first(&own) {
            let _ = writeln!(out, "{k} = {v}  # {}", source(inner, &k));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn load(text: &str) -> File {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        File::load(file.path(), &Cli::command()).unwrap()
    }

    #[test]
    fn the_template_is_a_file_that_changes_nothing() {
        let file = load(&template(&Cli::command()));
        let set: Vec<_> = file
            .tables
            .values()
            .filter_map(Value::as_table)
            .filter(|t| !t.values().all(Value::is_table))
            .collect();
        assert!(set.is_empty(), "{set:?}");
    }

    #[test]
    fn the_template_stays_a_file_when_defaults_are_uncommented() {
        let text = template(&Cli::command());
        let on = |l: &str| {
            l.strip_prefix('#')
                .filter(|l| !l.starts_with(' ') && (l.contains(" = ") || l.starts_with('[')))
                .map(String::from)
        };
        let lines: Vec<String> = text.lines().map(|l| on(l).unwrap_or_else(|| l.into())).collect();
        let file = load(&lines.join("\n"));
        assert_eq!(
            format!("{:?}", file.settings),
            format!("{:?}", flowtrail::detect::Settings::default())
        );
    }

    #[test]
    fn every_value_has_its_source() {
        let file = load("[common]\nthreads = 2\n[scan]\nmin-severity = \"high\"\n[detect.fan-out]\nplaces = 9\n");
        let text = effective(&Cli::command(), Some(&file), None).unwrap();
        assert!(text.contains("min-severity = \"high\"  # file, [scan]"), "{text}");
        assert!(text.contains("threads = 2  # file, [common]"));
        assert!(text.contains("alert-budget = \"5/day\"  # default"));
        assert!(text.contains("places = 9  # file\n"));
    }

    #[test]
    fn a_secret_that_stands_in_the_file_by_mistake_is_not_shown() {
        let text = "[notify.a]\nkind = \"webhook\"\nurl = \"https://x/CANARY\"\nsecret-env = \"CANARY\"\n[notify.b]\nkind = \"slack\"\nurl-env = \"B\"\n";
        let mut out = String::new();
        targets(
            &mut out,
            load(text).tables.get(NOTIFY).and_then(Value::as_table),
            |name| name == "B",
        );
        assert!(
            out.contains("url-env = \"B\"  # file; set") && out.contains("kind = \"webhook\"  # file"),
            "{out}"
        );
        assert!(!out.contains("CANARY"), "{out}");
    }

    #[test]
    fn a_value_that_no_option_takes_is_found_without_running_it() {
        let file = load("[scan]\nmin-severity = \"urgent\"\n");
        let wrong = effective(&Cli::command(), Some(&file), Some("scan"))
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("[scan] min-severity"), "{wrong}");
    }
}
