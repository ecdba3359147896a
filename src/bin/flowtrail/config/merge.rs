//! From the file's tables to words of the command line: what was typed wins, option by option.
//!
//! A repeatable option that was typed replaces the file's list; what cannot stand beside an option that was typed is left
//! out; `NO_COLOR` in the environment is stronger than a colour in the file.

use super::file::{File, key, options, words};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};
use flowtrail::Error;
use std::ffi::OsString;

/// Words that the file adds, and where.
#[derive(Debug, Default)]
pub(crate) struct Added {
    /// The words.
    pub(crate) words: Vec<OsString>,
    at: usize,
}

impl Added {
    /// The whole command line: the file's words stand right behind the command's name.
    pub(crate) fn before(&self, typed: &[OsString]) -> Vec<OsString> {
        let (head, tail) = typed.split_at(self.at.min(typed.len()));
        [head, &self.words, tail].concat()
    }
}

/// What the file adds to what was typed.
pub(crate) fn added(root: &Command, typed: &[OsString], matches: &ArgMatches, file: &File) -> flowtrail::Result<Added> {
    let (command, names, at) = command(root, typed);
    let given = names.iter().try_fold(matches, |m, name| m.subcommand_matches(name));
    let Some(given) = given.filter(|_| !names.is_empty()) else {
        return Ok(Added::default());
    };
    let mut all = Added { words: Vec::new(), at };
    let is_typed = |arg: &Arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let typed: Vec<&Arg> = options(command).filter(|a| is_typed(a)).collect();
    let against = |arg: &Arg| {
        let conflicts = typed.iter().flat_map(|t| command.get_arg_conflicts_with(t));
        conflicts.into_iter().any(|c| c.get_id() == arg.get_id())
    };
    for arg in options(command) {
        if is_typed(arg) || against(arg) || (key(arg) == "color" && no_color()) {
            continue;
        }
        if let Some((value, table)) = file.value(&names, arg) {
            let wrong = |e| Error::usage(format!("[{table}] {}: {e}", key(arg))).at(&file.path);
            all.words.extend(words(arg, value).map_err(wrong)?);
        }
    }
    Ok(all)
}

/// True if the environment asks for no colours.
pub(crate) fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
}

/// Options with a value that may stand before the command's name.
const GLOBAL: [&str; 3] = ["--config", "--log", "--log-level"];

/// The command that was typed, its names from the top, and the place behind the last of them.
fn command<'c>(root: &'c Command, typed: &[OsString]) -> (&'c Command, Vec<&'c str>, usize) {
    let (mut command, mut names, mut behind, mut at) = (root, Vec::new(), 1, 1);
    while let Some(word) = typed.get(at).and_then(|w| w.to_str()) {
        at += 1;
        if GLOBAL.contains(&word) {
            at += 1;
        } else if let Some(below) = command.find_subcommand(word) {
            (command, behind) = (below, at);
            names.push(below.get_name());
        } else if !word.split_once('=').is_some_and(|(name, _)| GLOBAL.contains(&name)) {
            break;
        }
    }
    (command, names, behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::CommandFactory;

    fn merged(text: &str, typed: &str) -> String {
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), text).unwrap();
        let root = Cli::command();
        let file = File::load(path.path(), &root).unwrap();
        let typed: Vec<OsString> = typed.split(' ').map(OsString::from).collect();
        let matches = root.clone().ignore_errors(true).try_get_matches_from(&typed).unwrap();
        let added = added(&root, &typed, &matches, &file).unwrap();
        let all: Vec<String> = added
            .before(&typed)
            .into_iter()
            .map(|w| w.into_string().unwrap())
            .collect();
        all.join(" ")
    }

    #[test]
    fn what_was_typed_wins_over_its_own_table_and_that_over_common() {
        let text = "[common]\nthreads = 1\nquiet = true\n[scan]\nthreads = 2\nmin-severity = \"high\"\n";
        assert_eq!(
            merged(text, "f scan x"),
            "f scan --min-severity=high --quiet --threads=2 x"
        );
        assert_eq!(
            merged(text, "f scan x --threads 3"),
            "f scan --min-severity=high --quiet x --threads 3"
        );
        assert_eq!(merged(text, "f top x"), "f top --threads=1 --quiet x");
        assert_eq!(
            merged(text, "f verify x --logs y"),
            "f verify --threads=1 --quiet x --logs y"
        );
    }

    #[test]
    fn what_cannot_stand_beside_what_was_typed_is_left_out() {
        let text = "[common]\nhome = [\"192.0.2.0/24\"]\nthreads = 1\n[scan]\nmin-severity = \"high\"\n";
        assert_eq!(merged(text, "f scan x --partial p"), "f scan --threads=1 x --partial p");
    }

    #[test]
    fn a_list_that_was_typed_replaces_the_files() {
        let text = "[scan]\npaths = [\"a\", \"b\"]\ntrail = [\"t\", \"u\"]\n";
        assert_eq!(merged(text, "f scan"), "f scan a b --trail=t --trail=u");
        assert_eq!(merged(text, "f scan c --trail v"), "f scan c --trail v");
    }

    #[test]
    fn commands_below_commands_have_tables_below_tables() {
        let text = "[baseline.build]\noutput = \"b.ftb\"\n";
        let typed = "f --config c --log json baseline --config=c build x";
        assert_eq!(
            merged(text, typed),
            "f --config c --log json baseline --config=c build --output=b.ftb x"
        );
    }

    #[test]
    fn dates_and_requirements_of_other_options_work_as_typed() {
        let text = "[scan]\nfrom = 2026-03-01\nbaseline = \"b\"\n";
        let merged = merged(text, "f scan x --learn");
        assert_eq!(merged, "f scan --baseline=b --from=2026-03-01 x --learn");
    }
}
