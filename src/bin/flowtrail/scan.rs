//! `flowtrail scan`: the main job.

use crate::args::{JudgeArgs, ReadArgs, ScanArgs, ScanFormat, When};
use crate::notify::Duty;
use crate::{baseline, hint, output, read, report, run, states};
use flowtrail::Error;
use flowtrail::baseline::Baseline;
use flowtrail::detect::{Settings, Severity, accept};
use flowtrail::incident::{AllowList, Incident, Shown, Suppressions, View, sha256};
use flowtrail::input::{Family, Source, Sources};
use flowtrail::intel::Intel;
use flowtrail::net::{TimeWindow, printable};
use flowtrail::notify::Target;
use flowtrail::report::story::Outside;
use flowtrail::report::{Custody, Run, Wanted, json, terminal};
use flowtrail::scan::{self, Inputs, Scanned};
use flowtrail::store::Lock;
use std::io::{IsTerminal, stdout};
use std::mem::ManuallyDrop;
use std::path::Path;

/// Runs the command.
pub(crate) fn run(args: &ScanArgs, parameters: &Settings, targets: &[Target]) -> anyhow::Result<u8> {
    if let Some(path) = &args.states.partial {
        return states::write(args, path);
    }
    if let Some(folder) = &args.states.state {
        return states::go_on(args, folder, parameters, targets);
    }
    if args.states.plan {
        return states::plan(args);
    }
    if args.temp.temp_dir.is_some() {
        let text = "--temp-dir is for --partial and --state: what judges goes on in memory";
        return Err(Error::usage(text).into());
    }
    let judge = &args.judge;
    let duty = Duty::open(judge, targets)?;
    let mut state = State::open(judge, args.learn)?;
    let mut ingest = args.read.ingest()?;
    ingest.memory = args.memory.bound(None);
    let desk = Desk::of(judge, parameters)?;
    let mut inputs = Inputs {
        flows: args.paths.clone(),
        trail: args.trail.clone(),
        ingest,
        index: args.index.clone(),
        window: Some(window(args)?),
        ..desk.inputs(judge, state.before.take())
    };
    inputs.ingest.learned = inputs.baseline.as_ref().map(|_| Default::default());
    let intel = judge.lists.load(judge.quiet)?;
    let pool = scan::threads(args.read.files.threads)?;
    let bar = read::Bar::new(judge.quiet);
    // The program ends with the command: to give back a table cell by cell takes longer than to leave it to the system.
    let scanned = ManuallyDrop::new(scan::scan(&inputs, &intel, &desk.settings, &pool, &|a| bar.follow(a))?);
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
    let code = desk.report(judge, &args.read, &scanned, &intel)?;
    let shown = desk.shown(&scanned);
    // What was learned is kept, whether or not a receiver could be reached.
    let told = duty.tell(&shown.incidents, judge.quiet);
    state.learn(judge, &scanned, &shown, inputs, |i| {
        scan::scan(&i, &intel, &desk.settings, &pool, &|a| bar.follow(a))
    })?;
    let told = told?;
    if told != run::DONE {
        return Ok(told);
    }
    Ok(desk.code(code, judge, &scanned))
}

/// The times that count; a store knows full hours only.
fn window(args: &ScanArgs) -> flowtrail::Result<TimeWindow> {
    let window = args.read.window()?;
    if args.index.is_some() {
        read::by_the_hour(window)?;
    }
    Ok(window)
}

/// What is judged by, and what is shown.
pub(crate) struct Desk {
    /// Parameters of the detectors.
    pub(crate) settings: Settings,
    view: View,
    outside: Vec<Outside>,
}

impl Desk {
    /// Reads what the options name, and sees that the output can be written.
    pub(crate) fn of(args: &JudgeArgs, parameters: &Settings) -> anyhow::Result<Desk> {
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
        Ok(Desk {
            settings,
            view,
            outside,
        })
    }

    /// What is read beside the logs.
    pub(crate) fn inputs(&self, args: &JudgeArgs, baseline: Option<Baseline>) -> Inputs {
        Inputs {
            inventory: args.inventory.clone(),
            guardduty: args.guardduty.clone(),
            macie: args.macie.clone(),
            own_accounts: args.own_account.clone(),
            baseline,
            ..Inputs::default()
        }
    }

    /// Says what was not read, writes the result, and gives the exit code that the input asks for.
    pub(crate) fn report(
        &self,
        args: &JudgeArgs,
        reading: &ReadArgs,
        scanned: &Scanned,
        intel: &Intel,
    ) -> anyhow::Result<u8> {
        let code = read::account(reading, args.quiet, &scanned.counted.stats)?;
        self.show(args, scanned, intel)?;
        Ok(code)
    }

    /// What is shown of the incidents.
    pub(crate) fn shown(&self, scanned: &Scanned) -> Shown {
        self.view.of(&scanned.incidents, &scanned.counted.table)
    }

    /// Writes the result.
    pub(crate) fn show(&self, args: &JudgeArgs, scanned: &Scanned, intel: &Intel) -> anyhow::Result<()> {
        let span = scanned.counted.outcome.span;
        read::warn_of_lists(intel, span, args.quiet);
        if !args.quiet {
            let idle = self.view.allow.warnings(span);
            self.view
                .suppress
                .warnings
                .iter()
                .chain(&idle)
                .for_each(|w| run::warn(w));
        }
        let shown = self.shown(scanned);
        tell(args, scanned, &shown, intel, self.outside.clone())
    }

    /// The exit code, with `--fail-on`.
    pub(crate) fn code(&self, code: u8, args: &JudgeArgs, scanned: &Scanned) -> u8 {
        let reached = args.fail_on.is_some_and(|s| loudest(&self.view, scanned) >= Some(s));
        if code == run::DONE && reached { run::FOUND } else { code }
    }
}

/// The baseline of a scan, locked if it is to be changed.
pub(crate) struct State {
    pub(crate) before: Option<Baseline>,
    lock: Option<Lock>,
}

impl State {
    pub(crate) fn open(args: &JudgeArgs, learn: bool) -> flowtrail::Result<State> {
        let Some(path) = &args.baseline else {
            return Ok(State {
                before: None,
                lock: None,
            });
        };
        let lock = learn.then(|| Lock::take(path)).transpose()?;
        let before = Some(if learn {
            baseline::existing(path)?
        } else {
            Baseline::load(path)?
        });
        Ok(State { before, lock })
    }

    /// Writes what was learned; files that the baseline knew teach nothing.
    fn learn(
        &self,
        args: &JudgeArgs,
        scanned: &Scanned,
        shown: &Shown,
        mut inputs: Inputs,
        again: impl FnOnce(Inputs) -> flowtrail::Result<Scanned>,
    ) -> anyhow::Result<()> {
        let Some(before) = &inputs.baseline else { return Ok(()) };
        let Some(lock) = &self.lock else {
            warn_of_known(before, scanned, &inputs, args.quiet);
            return Ok(());
        };
        let news = baseline::News::of(before, scanned, inputs.window.unwrap_or(TimeWindow::ALL));
        let mut learned = scanned.learned.clone();
        if news.known > 0 && news.new > 0 {
            // Sums cannot be divided by file: what is new is read raw.
            inputs.index = None;
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

/// Says that a baseline knows some of the files.
pub(crate) fn warn_of_known(before: &Baseline, scanned: &Scanned, inputs: &Inputs, quiet: bool) {
    let news = baseline::News::of(before, scanned, inputs.window.unwrap_or(TimeWindow::ALL));
    if news.known > 0 && !quiet {
        run::warn(&format!("{}: its own days, and later ones, were not used", news.says()));
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

fn tell(
    args: &JudgeArgs,
    scanned: &Scanned,
    shown: &Shown,
    intel: &Intel,
    outside: Vec<Outside>,
) -> anyhow::Result<()> {
    let counted = &scanned.counted;
    // Documents name every file; what is printed as it is found does not.
    let named = matches!(args.format, ScanFormat::Json | ScanFormat::Drawn(_));
    let names = |files: &Sources| files.iter().filter(|_| named).map(|s| s.name).collect::<Vec<_>>();
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
    let wanted = Wanted {
        show_keys: args.show_keys,
        outside,
        ..Wanted::default()
    };
    output::to(args.output.as_deref(), |out| {
        match args.format {
            ScanFormat::Table => terminal::write(&run, colour(args), out)?,
            ScanFormat::Ndjson => json::ndjson(&run, out)?,
            ScanFormat::Json => json::result(&run, out)?,
            ScanFormat::Drawn(format) => format.draw(json::document(&run)?, &wanted, out)?,
        }
        Ok(())
    })
}

fn colour(args: &JudgeArgs) -> bool {
    match args.color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            args.output.is_none() && stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        }
    }
}

/// Every file that was read, with its hash.
fn custody(args: &JudgeArgs, scanned: &Scanned) -> Vec<Custody> {
    let inventory: Sources = args.inventory.iter().map(|p| named(p)).collect();
    let kinds = [
        ("flow", &scanned.counted.archive.sources),
        ("trail", &scanned.known.files),
        ("inventory", &inventory),
    ];
    let one = |kind, source: Source| Custody {
        sha256: sha256(&source),
        file: source.name,
        kind,
        bytes: source.size,
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
