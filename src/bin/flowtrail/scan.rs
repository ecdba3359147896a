//! `flowtrail scan`: the main job.

use crate::args::{ScanArgs, ScanFormat, When};
use crate::notify::Duty;
use crate::{baseline, hint, output, read, report, run};
use flowtrail::baseline::Baseline;
use flowtrail::detect::{Settings, Severity, accept};
use flowtrail::incident::{AllowList, Incident, Shown, Suppressions, View, sha256};
use flowtrail::input::{Family, Source};
use flowtrail::intel::Intel;
use flowtrail::net::printable;
use flowtrail::notify::Target;
use flowtrail::report::story::Outside;
use flowtrail::report::{Custody, Run, Wanted, json, terminal};
use flowtrail::scan::{self, Inputs, Scanned};
use flowtrail::store::Lock;
use std::io::{IsTerminal, stdout};
use std::path::Path;

/// Runs the command.
pub(crate) fn run(args: &ScanArgs, parameters: &Settings, targets: &[Target]) -> anyhow::Result<u8> {
    let duty = Duty::open(args, targets)?;
    let mut state = State::open(args)?;
    let inputs = inputs(args, state.before.take())?;
    let settings = Settings {
        alert_budget: args.alert_budget,
        ..parameters.clone()
    };
    let view = View {
        least: args.min_severity,
        allow: AllowList::load(&args.allow)?,
        suppress: Suppressions::load(&args.suppress, read::now())?,
        floor_bytes: settings.floor_bytes,
    };
    let tells = matches!(args.format, ScanFormat::Drawn(format) if format.for_people);
    let outside = report::outside(args.timeline.as_ref(), tells)?;
    output::check(args.output.as_deref())?;
    let intel = args.lists.load(args.quiet)?;
    let pool = scan::threads(args.read.threads)?;
    let bar = read::Bar::new(args.quiet);
    let scanned = scan::scan(&inputs, &intel, &settings, &pool, &|a| bar.follow(a))?;
    bar.done();
    if args.trail.is_empty() {
        hint::check(&args.paths, Family::FlowLogs, &scanned.counted.archive)?;
    }
    read::write_rejects(
        &args.read,
        &inputs.ingest,
        &scanned.counted.archive,
        &scanned.counted.outcome,
    )?;
    let code = read::account(&args.read, args.quiet, &scanned.counted.stats)?;
    read::warn_of_lists(&intel, scanned.counted.outcome.span, args.quiet);
    if !args.quiet {
        let idle = view.allow.warnings(scanned.counted.outcome.span);
        view.suppress.warnings.iter().chain(&idle).for_each(|w| run::warn(w));
    }
    let shown = view.of(&scanned.incidents, &scanned.counted.table);
    tell(args, &scanned, &shown, &intel, outside)?;
    // What was learned is kept, whether or not a receiver could be reached.
    let told = duty.tell(&shown.incidents, args.quiet);
    state.learn(args, &scanned, &shown, inputs, |i| {
        scan::scan(&i, &intel, &settings, &pool, &|a| bar.follow(a))
    })?;
    let told = told?;
    if told != run::DONE {
        return Ok(told);
    }
    let reached = args.fail_on.is_some_and(|s| loudest(&view, &scanned) >= Some(s));
    Ok(if code == run::DONE && reached { run::FOUND } else { code })
}

fn inputs(args: &ScanArgs, baseline: Option<Baseline>) -> flowtrail::Result<Inputs> {
    let mut ingest = args.read.ingest()?;
    ingest.learned = baseline.as_ref().map(|_| Default::default());
    Ok(Inputs {
        flows: args.paths.clone(),
        trail: args.trail.clone(),
        inventory: args.inventory.clone(),
        guardduty: args.guardduty.clone(),
        macie: args.macie.clone(),
        own_accounts: args.own_account.clone(),
        ingest,
        window: Some(args.read.window()?),
        baseline,
    })
}

/// The baseline of a scan, locked if it is to be changed.
struct State {
    before: Option<Baseline>,
    lock: Option<Lock>,
}

impl State {
    fn open(args: &ScanArgs) -> flowtrail::Result<State> {
        let Some(path) = &args.baseline else {
            return Ok(State {
                before: None,
                lock: None,
            });
        };
        let lock = args.learn.then(|| Lock::take(path)).transpose()?;
        let before = Some(if args.learn {
            baseline::existing(path)?
        } else {
            Baseline::load(path)?
        });
        Ok(State { before, lock })
    }

    /// Writes what was learned; files that the baseline knew teach nothing.
    fn learn(
        &self,
        args: &ScanArgs,
        scanned: &Scanned,
        shown: &Shown,
        mut inputs: Inputs,
        again: impl FnOnce(Inputs) -> flowtrail::Result<Scanned>,
    ) -> anyhow::Result<()> {
        let Some(before) = &inputs.baseline else { return Ok(()) };
        let news = baseline::News::of(before, scanned, args.read.window()?);
        let Some(lock) = &self.lock else {
            if news.known > 0 && !args.quiet {
                run::warn(&format!("{}: its own days, and later ones, were not used", news.says()));
            }
            return Ok(());
        };
        let mut learned = scanned.learned.clone();
        if news.known > 0 && news.new > 0 {
            inputs.ingest.learned = Some(baseline::contents(before));
            learned = again(inputs)?.learned;
        }
        let suppressed = |i: &&Incident| shown.suppressed.iter().any(|h| h.id == i.id);
        for incident in scanned.incidents.iter().filter(suppressed) {
            learned
                .iter_mut()
                .for_each(|b| accept(b, &scanned.counted.table, incident));
        }
        baseline::tell_and_save(&news, learned, lock, args.quiet)
    }
}

/// The worst severity of what is neither announced nor suppressed, whatever `--min-severity` shows.
fn loudest(view: &View, scanned: &Scanned) -> Option<Severity> {
    let all = View {
        least: Severity::Info,
        ..view.clone()
    };
    let open = all.of(&scanned.incidents, &scanned.counted.table).incidents;
    open.iter().map(|i| i.severity).max()
}

fn tell(args: &ScanArgs, scanned: &Scanned, shown: &Shown, intel: &Intel, outside: Vec<Outside>) -> anyhow::Result<()> {
    let counted = &scanned.counted;
    let names = |files: &[Source]| files.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let (inputs, trail_inputs) = (names(&counted.archive.sources), names(&scanned.known.files));
    let inventory: Vec<String> = args.inventory.iter().map(|p| p.display().to_string()).collect();
    let custody = if args.custody {
        custody(args, scanned)
    } else {
        Vec::new()
    };
    let run = Run {
        incidents: &shown.incidents,
        below: shown.below,
        allowed: &shown.allowed,
        suppressed: &shown.suppressed,
        table: &counted.table,
        learned: &scanned.state,
        vantage: &scanned.vantage,
        inputs: &inputs,
        trail_inputs: &trail_inputs,
        inventory: &inventory,
        custody: &custody,
        trail: Some(&scanned.known.index).filter(|_| scanned.known.has_trail),
        intel,
        lists: intel.lists(),
        stats: &counted.stats,
        span: counted.outcome.span,
        idle: counted.idle(),
        left_out: counted.left_out,
        show_keys: args.show_keys,
        channels: scanned.channels,
        heard: scanned.beside.heard.as_deref(),
        steps: Some(&scanned.beside.steps).filter(|_| scanned.known.has_trail),
        estate: &scanned.beside.estate,
    };
    let colour = match args.color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            args.output.is_none() && stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
    };
    let wanted = Wanted {
        show_keys: args.show_keys,
        outside,
        ..Wanted::default()
    };
    output::to(args.output.as_deref(), |out| {
        match args.format {
            ScanFormat::Table => terminal::write(&run, colour, out)?,
            ScanFormat::Ndjson => json::ndjson(&run, out)?,
            ScanFormat::Json => json::result(&run, out)?,
            ScanFormat::Drawn(format) => format.draw(json::document(&run)?, &wanted, out)?,
        }
        Ok(())
    })
}

/// Every file that was read, with its hash.
fn custody(args: &ScanArgs, scanned: &Scanned) -> Vec<Custody> {
    let inventory: Vec<Source> = args.inventory.iter().map(|p| named(p)).collect();
    let kinds = [
        ("flow", &scanned.counted.archive.sources),
        ("trail", &scanned.known.files),
        ("inventory", &inventory),
    ];
    let one = |kind, source: &Source| Custody {
        file: source.name.clone(),
        kind,
        bytes: source.size,
        sha256: sha256(source),
    };
    kinds
        .into_iter()
        .flat_map(|(kind, files)| files.iter().map(move |s| one(kind, s)))
        .collect()
}

/// A file that the user named by itself.
fn named(path: &Path) -> Source {
    Source {
        name: printable(path.as_os_str().as_encoded_bytes()),
        path: path.to_owned(),
        size: std::fs::metadata(path).map_or(0, |m| m.len()),
        object: None,
    }
}
