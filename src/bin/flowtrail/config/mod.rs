//! The configuration file: every option of every command, the parameters of the detectors, and the targets of `--notify`.
//!
//! A file is read only when it is named, by `--config` or `FLOWTRAIL_CONFIG`: the folder that one stands in never changes
//! what a command does. What it holds becomes words of the command line, put before those that were typed, so that each
//! value is checked by the one parser there is, and a new option is in the file without another line of code.

mod file;
mod merge;
mod write;

use crate::args::Cli;
use crate::{output, run};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use flowtrail::Error;
use flowtrail::detect::Settings;
use flowtrail::notify::Target;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use file::File;

/// Names the configuration file where `--config` is not given.
const VARIABLE: &str = "FLOWTRAIL_CONFIG";

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Write a file with every option and every parameter at its default, commented out
    Init {
        /// The file to write; `-` for standard output. A file that is there stays as it is
        #[arg(default_value = "flowtrail.toml")]
        file: PathBuf,
    },
    /// What holds, and where each value comes from: file or default
    Show {
        /// Only of this command
        command: Option<String>,
    },
}

/// What was typed, with the file's part in it.
pub(crate) struct Session {
    /// The command line.
    pub(crate) cli: Cli,
    /// Parameters of the detectors.
    pub(crate) settings: Settings,
    /// Whom `--notify` may tell.
    pub(crate) targets: Vec<Target>,
    file: Option<File>,
}

/// Reads the command line and the file that it names.
///
/// # Errors
/// `Usage` for a file that cannot be read, or holds what no command knows. Wrong words of the command line end the process
/// as clap does.
pub(crate) fn read() -> anyhow::Result<Session> {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let variable = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    if variable.is_none() && !typed.iter().any(may_name_a_file) {
        return Ok(without_file(&typed));
    }
    let root = Cli::command();
    let matches = root.clone().ignore_errors(true).try_get_matches_from(&typed).ok();
    let named = matches.as_ref().and_then(|m| m.get_one::<PathBuf>("config").cloned());
    let (Some(path), Some(matches)) = (named.or(variable), matches) else {
        return Ok(without_file(&typed));
    };
    let file = File::load(&path, &root)?;
    let added = merge::added(&root, &typed, &matches, &file)?;
    let cli = Cli::try_parse_from(added.before(&typed)).unwrap_or_else(|e| refuse(&e, &path, &added.words));
    Ok(Session {
        cli,
        settings: file.settings.clone(),
        targets: file.targets.clone(),
        file: Some(file),
    })
}

/// False for words that are surely no `--config`: without one there is no need to look twice at what was typed.
fn may_name_a_file(word: &OsString) -> bool {
    word.as_encoded_bytes().starts_with(b"--config")
}

/// What was typed alone.
fn without_file(typed: &[OsString]) -> Session {
    // The commands and options are some ten thousand pieces of memory, which are left to the system at the end.
    let root = Box::leak(Box::new(Cli::command()));
    let mut matches = root.try_get_matches_from_mut(typed).unwrap_or_else(|e| e.exit());
    Session {
        cli: Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|e| e.format(root).exit()),
        settings: Settings::default(),
        targets: Vec::new(),
        file: None,
    }
}

/// Ends as clap does, and says which words came from the file.
fn refuse(e: &clap::Error, path: &Path, words: &[OsString]) -> ! {
    if e.use_stderr() && !words.is_empty() {
        let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
        run::warn(&format!("with {}: {}", path.display(), words.join(" ")));
    }
    e.exit()
}

/// Runs the command.
pub(crate) fn run(args: &ConfigArgs, session: &Session) -> anyhow::Result<u8> {
    let root = Cli::command();
    match &args.command {
        ConfigCommand::Init { file } => init(file, &write::template(&root))?,
        ConfigCommand::Show { command } => {
            let text = write::effective(&root, session.file.as_ref(), command.as_deref())?;
            output::to(None, |out| Ok(out.write_all(text.as_bytes())?))?;
        }
    }
    Ok(run::DONE)
}

fn init(file: &Path, text: &str) -> anyhow::Result<()> {
    if file == Path::new("-") {
        return output::to(None, |out| Ok(out.write_all(text.as_bytes())?));
    }
    if file.exists() {
        return Err(Error::usage("is there already: it stays as it is").at(file).into());
    }
    output::to_file(file, |out| Ok(out.write_all(text.as_bytes())?))?;
    run::warn(&format!(
        "{}: written; every line is a comment until you change it",
        file.display()
    ));
    Ok(())
}
