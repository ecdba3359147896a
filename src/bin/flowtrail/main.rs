//! The program: reads the command line, runs one subcommand, tells how it went by its exit code.

mod args;
mod baseline;
mod contain;
mod coverage;
mod explain;
mod r#gen;
mod guardduty;
mod intel;
mod lookup;
mod output;
mod quality;
mod read;
mod reconcile;
mod report;
mod run;
mod scan;
mod top;
mod trail;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let result = match &cli.command {
        args::Command::Scan(args) => scan::run(args),
        args::Command::Top(args) => top::run(args),
        args::Command::Coverage(args) => coverage::run(args),
        args::Command::Lookup(args) => lookup::run(args),
        args::Command::Trail(args) => trail::run(args),
        args::Command::Reconcile(args) => reconcile::run(args),
        args::Command::Report(args) => report::run(args),
        args::Command::Explain(args) => explain::explain(args),
        args::Command::Verify(args) => explain::verify(args),
        args::Command::Contain(args) => contain::run(args),
        args::Command::Guardduty(args) => guardduty::run(args),
        args::Command::Floor(args) => quality::floor(args),
        args::Command::Backtest(args) => quality::backtest(args),
        args::Command::Baseline(args) => baseline::run(args),
        args::Command::Intel(args) => intel::run(args),
        args::Command::Gen(args) => r#gen::run(args),
    };
    run::exit_code(result)
}
