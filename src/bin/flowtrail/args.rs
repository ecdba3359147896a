//! What may be typed. Options that several commands share stand in groups of their own; names are the design's.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use flowtrail::detect::Severity;
use flowtrail::report::{REPORTERS, Reporter, reporter};
use ipnetwork::IpNetwork;
use std::ffi::OsString;
use std::path::PathBuf;

/// Finds data leaving an AWS account: VPC Flow Logs, counted once, compared with what is normal, joined with CloudTrail.
#[derive(Debug, Parser)]
#[command(name = "flowtrail", version, max_term_width = 110)]
pub(crate) struct Cli {
    /// Take options from this file (`flowtrail config init` writes one); FLOWTRAIL_CONFIG names it too
    #[arg(long, global = true, value_name = "FILE", help_heading = "Configuration")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: crate::log::LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find data leaving: flow logs (with --trail CloudTrail) to incidents
    #[command(after_long_help = crate::examples::SCAN)]
    Scan(Box<ScanArgs>),
    /// The aggregate itself: bytes by interface, destination, country, hour, …
    #[command(after_long_help = crate::examples::TOP)]
    Top(crate::top::TopArgs),
    /// What the archive and the account's logging can and cannot show: missing files, lost records, blind buckets
    #[command(after_long_help = crate::examples::COVERAGE)]
    Coverage(crate::coverage::CoverageArgs),
    /// A case card for an address, interface, instance, principal, key, bucket or object
    #[command(after_long_help = crate::examples::LOOKUP)]
    Lookup(crate::lookup::LookupArgs),
    /// A side store of sums by the hour, so that look-ups touch little
    #[command(after_long_help = crate::examples::INDEX)]
    Index(crate::index::IndexArgs),
    /// CloudTrail alone: requests and bytes by principal, address, bucket, event, hour
    #[command(after_long_help = crate::examples::TRAIL)]
    Trail(TrailArgs),
    /// Fold states (`scan --partial`) into the findings of one run over all their files
    #[command(after_long_help = crate::examples::MERGE)]
    Merge(crate::states::MergeArgs),
    /// Bytes to and from S3 by both logs: what no event of CloudTrail accounts for
    Reconcile(crate::reconcile::ReconcileArgs),
    /// The investigation report of a result: Markdown, or one HTML page with pictures
    Report(crate::report::ReportArgs),
    /// Why an incident scored as it did: the baseline, the observation, each reason with its weight, the records
    #[command(after_long_help = crate::examples::EXPLAIN)]
    Explain(crate::explain::ExplainArgs),
    /// Count the incidents of a result again from the logs: which no longer hold?
    Verify(crate::explain::VerifyArgs),
    /// Controls for an incident, to review: keys, sessions, policies, alarms, rules; printed, never applied
    Contain(crate::contain::ContainArgs),
    /// Findings of Amazon GuardDuty, and how ours agree: both, only ours, only theirs
    Guardduty(crate::guardduty::GuarddutyArgs),
    /// How much each interface could send to a new host in a day without an alert
    Floor(crate::quality::FloorArgs),
    /// The detectors' score on an archive whose truth is known
    Backtest(crate::quality::BacktestArgs),
    /// What is normal: learn it from an archive, combine, show and compare it
    #[command(after_long_help = crate::examples::BASELINE)]
    Baseline(crate::baseline::BaselineArgs),
    /// The lists in use: source, date, entries, sha256
    Intel(IntelArgs),
    /// Try it: a sample account, generated, scanned and reported
    Demo(crate::demo::DemoArgs),
    /// The configuration file: write one, or show what holds
    #[command(after_long_help = crate::examples::CONFIG)]
    Config(crate::config::ConfigArgs),
    /// A synthetic account with known incidents, for trying out and for tests
    Gen(crate::r#gen::GenArgs),
    #[command(hide = true, long_about = crate::concepts::PAGE, help_template = "{about}")]
    Concepts(crate::concepts::ConceptsArgs),
    /// Man pages, completions and reference pages, for packages
    #[command(hide = true)]
    Generate(crate::generate::GenerateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Flow logs: files, directories, globs, `-` (standard input), `@list`
    #[arg(required_unless_present = "partial")]
    pub(crate) paths: Vec<OsString>,
    /// CloudTrail, in the same forms; repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) trail: Vec<OsString>,
    /// A store made by `flowtrail index build`: of what it holds only lines that are cited are read again
    #[arg(long, value_name = "STORE", conflicts_with_all = ["partial", "state", "plan", "rejects", "strict"])]
    pub(crate) index: Option<PathBuf>,
    /// Learn this archive into the baseline afterwards, each file once
    #[arg(long, requires = "baseline")]
    pub(crate) learn: bool,
    #[command(flatten)]
    pub(crate) states: crate::states::StateArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) memory: crate::memory::MemoryArgs,
    #[command(flatten)]
    pub(crate) temp: crate::memory::TempArgs,
}

/// How what was counted is judged, and where it is told.
#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// What the AWS CLI's describe-network-interfaces, -instances, -vpc-endpoints, -addresses, -nat-gateways, -subnets,
    /// -flow-logs and get-event-selectors print; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Vec<PathBuf>,
    /// GuardDuty findings (get-findings JSON, arrays, NDJSON, EventBridge or SNS events); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) guardduty: Vec<PathBuf>,
    /// Macie findings, in the same forms; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) macie: Vec<PathBuf>,
    /// Accounts that are yours, beside those in whose trails the events stand; repeatable
    #[arg(long, value_name = "ID")]
    pub(crate) own_account: Vec<String>,
    /// Show incidents from this severity on
    #[arg(long, default_value = "low", value_name = "SEVERITY")]
    pub(crate) min_severity: Severity,
    /// Exit with 1 if an incident reaches this severity
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<Severity>,
    /// At most so many uncorroborated findings of volume and novelty a day, for the whole fleet
    #[arg(long, default_value = "5/day", value_parser = budget, value_name = "N/day")]
    pub(crate) alert_budget: f64,
    /// Announced transfers, TOML `[[entry]]` or JSON: id, reason, eni, source, destination, ports, from, until, max_bytes;
    /// repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) allow: Vec<PathBuf>,
    /// Incidents not to show, TOML `[[suppress]]`: rule, id, eni, cidr, arn, reason, owner, expires; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) suppress: Vec<PathBuf>,
    /// What was learned before (`flowtrail baseline build`): days of the archive are judged on top of it
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) lists: ListArgs,
    /// How incidents are written: `ndjson` one a line, `json` the whole result, `md` and `html` the investigation report,
    /// `csv` for spreadsheets, `asff` for Security Hub, `ocsf` for Security Lake, `ecs` for Elasticsearch and OpenSearch
    #[arg(long, value_parser = ScanFormat::parser(), default_value = "table", help_heading = "Output")]
    pub(crate) format: ScanFormat,
    /// For the report: what happened outside of the logs, a line each: RFC 3339 time, words
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) timeline: Option<PathBuf>,
    /// Tell this target of each incident, once: a table `[notify.TARGET]` of the configuration file; repeatable
    #[arg(long, value_name = "TARGET", help_heading = "Output")]
    pub(crate) notify: Vec<String>,
    /// What was sent to whom, and what waits; without it `flowtrail/notify.journal` in your folder for state
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) notify_journal: Option<PathBuf>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Show access key ids whole in formats for people
    #[arg(long, help_heading = "Output")]
    pub(crate) show_keys: bool,
    /// Put the SHA-256 of every file read into the result, not only of those cited as evidence
    #[arg(long, help_heading = "Output")]
    pub(crate) custody: bool,
    /// No progress, no warnings
    #[arg(long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Colours
    #[arg(long, value_enum, default_value_t = When::Auto, help_heading = "Output")]
    pub(crate) color: When,
}

#[derive(Debug, Args)]
pub(crate) struct TrailArgs {
    /// CloudTrail: files, directories, globs, `-` (standard input), `@list`
    pub(crate) paths: Vec<OsString>,
    /// A question of the playbook: `downloaders` by bytes, `callers` by address, `copies` into other accounts
    #[arg(long, value_enum)]
    pub(crate) view: Option<View>,
    /// Keys, any subset of principal,ip,bucket,event,hour,day,key,owner,endpoint,from
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Only what passes, as in 'event=GetObject principal=*user/* ip=10.0.0.0/8 error=no bytes>1e9'
    #[arg(long = "where", value_name = "FILTER", default_value = "")]
    pub(crate) filter: String,
    /// Rows to show, most bytes first; 0 for all
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Add a last line with the number of groups and their sums
    #[arg(long)]
    pub(crate) totals: bool,
    /// Print the query that gives the same report elsewhere, and read nothing
    #[arg(long, value_enum, value_name = "WHERE")]
    pub(crate) print_sql: Option<Dialect>,
    #[command(flatten)]
    pub(crate) read: ReadArgs,
    #[command(flatten)]
    pub(crate) lists: ListArgs,
    #[command(flatten)]
    pub(crate) out: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    Downloaders,
    Callers,
    Copies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    Athena,
    Insights,
    Duckdb,
}

#[derive(Debug, Args)]
pub(crate) struct IntelArgs {
    #[command(flatten)]
    pub(crate) lists: ListArgs,
    #[command(flatten)]
    pub(crate) out: OutputArgs,
}

/// How inputs are read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Only records that start at or after: RFC 3339, a date, -24h, or seconds since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// Only records that start before
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) s3: crate::read::S3Args,
    /// Exit with 3 if more than this share of all lines is rejected
    #[arg(long, default_value = "1%", value_parser = share, value_name = "SHARE")]
    pub(crate) max_rejected: f64,
    /// End with 3 at the first bad record
    #[arg(long)]
    pub(crate) strict: bool,
    /// Write every rejected line with its place and what is wrong with it, as NDJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Write what was read and what was not, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
}

/// How files are opened and taken apart, whatever is made of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct FileArgs {
    /// Fields of logs without a header, as AWS prints them: '${version} ${account-id} …'
    #[arg(long, value_name = "FIELDS")]
    pub(crate) flow_format: Option<String>,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) threads: usize,
    /// Read plain files instead of mapping them
    #[arg(long)]
    pub(crate) no_mmap: bool,
    /// Stop unpacking a file after so many bytes
    #[arg(long, default_value_t = 64 << 30, value_name = "BYTES")]
    pub(crate) max_unpacked: u64,
}

/// Lists; what is not given is taken from dated snapshots in the program.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Lists")]
pub(crate) struct ListArgs {
    /// AWS's ip-ranges.json
    #[arg(long, value_name = "FILE")]
    pub(crate) ip_ranges: Option<PathBuf>,
    /// Prefix list (describe-prefix-lists, get-managed-prefix-list-entries, CIDRs); repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) prefix_list: Vec<PathBuf>,
    /// Country database (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub(crate) geoip: Option<PathBuf>,
    /// Database of autonomous systems (.mmdb)
    #[arg(long, value_name = "FILE")]
    pub(crate) asn: Option<PathBuf>,
    /// Tor exits: bulk list, exit-addresses, onionoo JSON, CSV; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) tor_exits: Vec<PathBuf>,
    /// Tor guards and authorities, in the same forms; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) tor_guards: Vec<PathBuf>,
    /// Addresses and CIDRs of your threat intelligence; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) threat_list: Vec<PathBuf>,
    /// Your own networks beyond the private ranges; repeatable
    #[arg(long, value_name = "CIDR")]
    pub(crate) home: Vec<IpNetwork>,
}

/// Where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// No progress, no summary, no warnings
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Ndjson,
    Csv,
    Md,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum ScanFormat {
    Table,
    Json,
    Ndjson,
    /// A format of the library's registry, drawn from the result.
    Drawn(&'static Reporter),
}

impl ScanFormat {
    const OWN: [&str; 3] = ["table", "json", "ndjson"];

    fn parser() -> impl TypedValueParser<Value = ScanFormat> {
        let names = Self::OWN.into_iter().chain(REPORTERS.iter().map(|r| r.name));
        PossibleValuesParser::new(names).map(|name| match name.as_str() {
            "json" => ScanFormat::Json,
            "ndjson" => ScanFormat::Ndjson,
            name => reporter(name).map_or(ScanFormat::Table, ScanFormat::Drawn),
        })
    }
}

/// The formats that are drawn from a result.
pub(crate) fn drawn() -> impl TypedValueParser<Value = &'static Reporter> {
    let names = REPORTERS.iter().map(|r| PossibleValue::new(r.name).help(r.about));
    PossibleValuesParser::new(names).try_map(|name| reporter(&name).ok_or("not a format"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Direction {
    Egress,
    Ingress,
    Both,
}

/// `1%` or `0.01`.
pub(crate) fn share(s: &str) -> Result<f64, String> {
    let (number, scale) = s.strip_suffix('%').map_or((s, 1.0), |n| (n, 100.0));
    let value: f64 = number
        .trim()
        .parse()
        .map_err(|_| format!("`{s}` is not a share like 1% or 0.01"))?;
    let share = value / scale;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(format!("`{s}` is not between 0 and 100 %"))
    }
}

/// `5/day` or `5`.
pub(crate) fn budget(s: &str) -> Result<f64, String> {
    let number = s.strip_suffix("/day").unwrap_or(s);
    let value: Option<f64> = number.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    value.ok_or_else(|| format!("`{s}` is not a number of findings a day like 5/day"))
}
