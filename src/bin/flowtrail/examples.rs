//! Examples at the end of each command's `--help`, to be copied and changed.
//!
//! A test takes every line apart with the parser, so that none shows an option that is not there.

pub(crate) const SCAN: &str = "\
Examples:
  Everything in one folder, as AWS delivers it:
    flowtrail scan AWSLogs --trail AWSLogs --inventory interfaces.json
  Only what is bad, for a machine, and exit with 1 if there is any:
    flowtrail scan AWSLogs --min-severity high --fail-on high --format ndjson -o incidents.ndjson
  Every night, on top of what was learned before:
    flowtrail scan AWSLogs --from -24h --baseline fleet.ftb --learn
  One page with pictures:
    flowtrail scan AWSLogs --trail AWSLogs --format html -o report.html";

pub(crate) const MERGE: &str = "\
Examples:
  Three machines, or three tasks of an array job, each with its share of the files:
    flowtrail scan AWSLogs --trail AWSLogs --shard 1/3 --partial part-1.ftp
  One of them puts the shares together:
    flowtrail merge part-1.ftp part-2.ftp part-3.ftp --inventory interfaces.json --format html -o report.html
  A tree: states of states give the same:
    flowtrail merge part-1.ftp part-2.ftp --partial half.ftp";

pub(crate) const TOP: &str = "\
Examples:
  Who sent most to whom:
    flowtrail top AWSLogs --by eni,dst,country --where class=external
  The hours of one interface, all of them:
    flowtrail top AWSLogs --by hour --where eni=eni-05995c602886f5b99 --limit 0 --format csv";

pub(crate) const COVERAGE: &str = "\
Examples:
  flowtrail coverage AWSLogs --trail AWSLogs --inventory interfaces.json --inventory event-selectors.json";

pub(crate) const LOOKUP: &str = "\
Examples:
  Who talked to this address, how much, on whose credentials:
    flowtrail lookup 203.0.113.9 --flows AWSLogs --trail AWSLogs
  What did this key do:
    flowtrail lookup AKIAIOSFODNN7EXAMPLE --trail AWSLogs
  The records themselves:
    flowtrail lookup 203.0.113.0/24 --flows AWSLogs --records --format csv";

pub(crate) const TRAIL: &str = "\
Examples:
  Top downloaders of a day:
    flowtrail trail AWSLogs --view downloaders --from -24h --limit 50
  Who read a bucket from where:
    flowtrail trail AWSLogs --by principal,ip --where 'bucket=customer-records event=GetObject error=no'";

pub(crate) const BASELINE: &str = "\
Examples:
  flowtrail baseline build AWSLogs -o fleet.ftb
  flowtrail baseline show fleet.ftb";

pub(crate) const EXPLAIN: &str = "\
Examples:
  flowtrail explain inc-af61 result.json";

pub(crate) const CONFIG: &str = "\
Examples:
  flowtrail config init
  flowtrail --config flowtrail.toml config show scan";

/// `flowtrail index --help`
pub(crate) const INDEX: &str = "\
Examples:
  Build a store, and again whenever there are new files: only those are read
    flowtrail index build AWSLogs -o flows.index
  What it holds
    flowtrail index info flows.index
  Ask it
    flowtrail lookup 203.0.113.9 --index flows.index";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    #[test]
    fn every_example_is_taken_by_the_parser() {
        let all = [SCAN, TOP, COVERAGE, LOOKUP, TRAIL, BASELINE, EXPLAIN, CONFIG, INDEX];
        let lines = all
            .iter()
            .flat_map(|t| t.lines())
            .map(str::trim)
            .filter(|l| l.starts_with("flowtrail "));
        let mut count = 0;
        for line in lines {
            count += 1;
            let quoted = line.split('\'').enumerate();
            let words = quoted.flat_map(|(n, part)| match n % 2 {
                0 => part.split_whitespace().map(String::from).collect::<Vec<_>>(),
                _ => vec![part.to_string()],
            });
            let parsed = Cli::try_parse_from(words);
            assert!(
                parsed.is_ok(),
                "{line}: {}",
                parsed.err().map(|e| e.to_string()).unwrap_or_default()
            );
        }
        assert!(count > 10, "only {count} examples");
    }
}
