//! The program: reads the command line, runs one subcommand, tells how it went by its exit code.

mod args;
mod baseline;
mod contain;
mod concepts;
mod config;
mod coverage;
mod demo;
mod examples;
mod explain;
mod r#gen;
mod guardduty;
mod generate;
mod hint;
mod index;
mod intel;
mod log;
mod lookup;
mod memory;
mod notify;
mod output;
mod quality;
mod read;
mod reconcile;
mod report;
mod run;
mod scan;
mod states;
mod stop;
mod top;
mod trail;

use std::process::ExitCode;

fn main() -> ExitCode {
    stop::listen();
    run::exit_code(config::read().and_then(|session| command(&session)))
}

fn command(session: &config::Session) -> anyhow::Result<u8> {
    log::start(&session.cli.log);
    let _run = tracing::info_span!("run", version = env!("CARGO_PKG_VERSION")).entered();
    let settings = &session.settings;
    match &session.cli.command {
        args::Command::Scan(args) => scan::run(args, settings, &session.targets),
        args::Command::Merge(args) => states::merge(args, settings, &session.targets),
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
        args::Command::Floor(args) => quality::floor(args, settings),
        args::Command::Backtest(args) => quality::backtest(args, settings),
        args::Command::Baseline(args) => baseline::run(args, settings),
        args::Command::Index(args) => index::run(args),
        args::Command::Intel(args) => intel::run(args),
        args::Command::Demo(args) => demo::run(args, settings),
        args::Command::Config(args) => config::run(args, session),
        args::Command::Gen(args) => r#gen::run(args),
        args::Command::Concepts(_) => concepts::run(),
        args::Command::Generate(args) => generate::run(args),
    }
}
