//! `flowtrail generate`: what packages and the book need of the program: completions, man pages, reference pages.
//!
//! Hidden, since a user meets the results: everything here follows from the command line and the library's tables.

use crate::args::Cli;
use crate::{output, run};
use anyhow::Context;
use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use flowtrail::Error;
use flowtrail::flow::field::{FIELDS, Kind};
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    what: What,
    /// Man pages go into this folder, everything else to standard output
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
    Man,
    /// docs/reference/cli.md
    Cli,
    /// docs/reference/fields.md
    Fields,
}

/// Runs the command.
pub(crate) fn run(args: &GenerateArgs) -> anyhow::Result<u8> {
    let text = match args.what {
        What::Bash => completions(Shell::Bash),
        What::Zsh => completions(Shell::Zsh),
        What::Fish => completions(Shell::Fish),
        What::Powershell => completions(Shell::PowerShell),
        What::Elvish => completions(Shell::Elvish),
        What::Man => return man_pages(args.output.as_deref()),
        What::Cli => cli_page().into_bytes(),
        What::Fields => fields_page().into_bytes(),
    };
    output::to(None, |out| Ok(out.write_all(&text)?))?;
    Ok(run::DONE)
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    generate(shell, &mut visible(Cli::command()), "flowtrail", &mut text);
    text
}

/// One page a command: flowtrail.1, flowtrail-scan.1, flowtrail-baseline-build.1 and so on.
fn man_pages(folder: Option<&Path>) -> anyhow::Result<u8> {
    let folder = folder.ok_or_else(|| Error::usage("man pages need a folder: --output FOLDER"))?;
    std::fs::create_dir_all(folder).map_err(|e| Error::output(folder, e))?;
    let mut root = visible(Cli::command());
    root.build();
    for (_, command) in pages(&root, "flowtrail") {
        let page = Man::new(command.clone());
        let mut text = Vec::new();
        page.render(&mut text).context("man page")?;
        output::to_file(&folder.join(page.get_filename()), |out| Ok(out.write_all(&text)?))?;
    }
    Ok(run::DONE)
}

/// Without the commands that are hidden.
fn visible(command: Command) -> Command {
    let keep: Vec<Command> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .cloned()
        .collect();
    let mut bare = Command::new("flowtrail")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(keep)
        .subcommand_required(true);
    bare = bare.args(command.get_arguments().cloned());
    match command.get_about() {
        Some(about) => bare.about(about.clone()),
        None => bare,
    }
}

/// Every command with its whole name, those without a job of their own included.
fn pages<'c>(command: &'c Command, name: &str) -> Vec<(String, &'c Command)> {
    let own = command.get_subcommands().filter(|c| c.get_name() != "help");
    let below = own.flat_map(|c| pages(c, &format!("{name} {}", c.get_name())));
    [(name.to_string(), command)].into_iter().chain(below).collect()
}

/// The reference of commands: what `--help` says, word for word, in 100 columns.
fn cli_page() -> String {
    let mut root = visible(Cli::command()).term_width(100);
    root.build();
    let mut out = String::from(
        "# Commands\n\n\
         Written by `just reference` from the program's own help; a test compares the two. Every option stands in the\n\
         [configuration file](config.md) too. [Exit codes](exit-codes.md) are the same for all commands.\n",
    );
    for (name, command) in pages(&root, "flowtrail") {
        let help = command
            .clone()
            .term_width(100)
            .color(clap::ColorChoice::Never)
            .render_long_help()
            .to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(out, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    }
    out
}

/// The reference of flow log fields.
fn fields_page() -> String {
    let mut out = String::from(
        "# Flow log fields\n\n\
         Written by `just reference` from the table that the parser goes by (`src/flow/field.rs`); a test compares the two.\n\
         Every column may hold `-`. A field that is not here is carried, not fatal. Parquet and JSON spell the names with\n\
         underscores.\n\n| field | version | holds |\n| --- | --- | --- |\n",
    );
    for f in FIELDS {
        let holds = match f.kind {
            Kind::Text => "text".to_string(),
            Kind::Number(most) => format!("a number up to {most}"),
            Kind::Address => "an IPv4 or IPv6 address".to_string(),
        };
        let _ = writeln!(out, "| `{}` | {} | {holds} |", f.name, f.version);
    }
    out
}
