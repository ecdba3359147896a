//! Scores a series with the scorer that judges hourly volumes: `timestamp,value` in, `timestamp,value,anomaly_score` out.
//!
//! ```text
//! cargo run --release --example score_series < series.csv > scored.csv
//! cargo run --release --example score_series -- series.csv scored.csv
//! ```
//!
//! Times are RFC 3339, `2014-02-14 14:30:00`, or seconds since 1970, in any step; a header is optional. The score lies
//! between 0 and 1 and knows nothing of later values; 0.6 is about a value in a thousand, in a series like this one.

#![allow(clippy::print_stderr, reason = "an example is a program")]

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::process::ExitCode;

use flowtrail::baseline::SeriesScorer;
use flowtrail::net::parse_rfc3339;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("score_series: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> io::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let input: Box<dyn BufRead> = match args.next().filter(|a| a != "-") {
        Some(path) => Box::new(BufReader::new(File::open(path)?)),
        None => Box::new(io::stdin().lock()),
    };
    let output: Box<dyn Write> = match args.next().filter(|a| a != "-") {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = BufWriter::new(output);
    let mut scorer = SeriesScorer::default();
    writeln!(out, "timestamp,value,anomaly_score")?;
    for (number, line) in input.lines().enumerate() {
        let line = line?;
        let mut fields = line.trim_end().split(',');
        let (Some(stamp), Some(value)) = (fields.next(), fields.next()) else {
            if line.trim().is_empty() {
                continue;
            }
            return Err(wrong(number, &line));
        };
        match (seconds(stamp), value.trim().parse::<f64>()) {
            (Some(time), Ok(number)) => {
                let decades = scorer.score(time, number);
                writeln!(out, "{stamp},{value},{:.6}", decades / (decades + 2.0))?;
            }
            _ if number == 0 => {}
            _ => return Err(wrong(number, &line)),
        }
    }
    out.flush()
}

fn wrong(number: usize, line: &str) -> io::Error {
    io::Error::other(format!("line {}: `{line}` is no `timestamp,value`", number + 1))
}

fn seconds(stamp: &str) -> Option<u64> {
    let stamp = stamp.trim().trim_matches('"');
    let dated = || parse_rfc3339(stamp).or_else(|| parse_rfc3339(&format!("{}Z", stamp.replace(' ', "T"))));
    let number = || stamp.parse::<f64>().ok().filter(|n| *n >= 0.0).map(|n| n as u64);
    dated().or_else(number)
}
