//! `--where 'event=GetObject,PutObject principal=*user/dev* ip=10.0.0.0/8 error=no bytes>1e9'`: the filter of `trail`.
//!
//! Terms are joined by "and", values of a term by "or"; `!=` keeps what is none of them. A `*` stands for any text, an `ip`
//! may be a network. Sums (`bytes`, `bytes_in`, `requests`, `errors`, `objects`) are compared when the groups are finished.

use ipnetwork::IpNetwork;

use super::index::{PrincipalIndex, TrailRow};
use super::summary::{Summary, TrailKey};
use crate::error::{Error, Result};

/// A parsed filter; the empty one keeps everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrailFilter {
    pub(super) terms: Vec<Term>,
    pub(super) sums: Vec<SumTerm>,
}

/// One term about a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) field: Field,
    pub(super) values: Vec<String>,
    pub(super) keep: bool,
}

/// What a term is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Key(TrailKey),
    /// `errorCode`; `no` for requests that succeeded, `yes` for those that did not.
    Error,
    /// `eventSource`.
    Service,
    /// Account of the caller.
    Account,
}

/// One term about a finished group.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SumTerm {
    pub(super) column: String,
    pub(super) op: String,
    pub(super) value: f64,
}

/// Columns of sums, in the order of the output.
pub(super) const SUMS: [&str; 5] = ["bytes", "bytes_in", "requests", "errors", "objects"];

/// Comparisons, the longer ones first.
const OPS: [&str; 6] = ["!=", "<=", ">=", "=", "<", ">"];

impl TrailFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `Usage`, naming the term that is not understood.
    pub fn parse(text: &str) -> Result<TrailFilter> {
        let mut filter = TrailFilter::default();
        for term in text.split_whitespace() {
            filter.add(term)?;
        }
        Ok(filter)
    }

    fn add(&mut self, term: &str) -> Result<()> {
        let bad = |why: &str| Error::usage(format!("--where: `{term}`: {why}"));
        let at = term
            .find(['!', '=', '<', '>'])
            .ok_or_else(|| bad("expected key=value"))?;
        let (key, rest) = term.split_at_checked(at).ok_or_else(|| bad("expected key=value"))?;
        let op = OPS
            .iter()
            .find(|op| rest.starts_with(**op))
            .ok_or_else(|| bad("expected key=value"))?;
        let values = rest.get(op.len()..).unwrap_or_default();
        if SUMS.contains(&key) {
            let value = values.parse().map_err(|_| bad("not a number"))?;
            let (column, op) = (key.to_owned(), (*op).to_owned());
            self.sums.push(SumTerm { column, op, value });
            return Ok(());
        }
        let known =
            "use principal, ip, bucket, event, hour, day, key, owner, endpoint, from, error, service or account";
        let field = Field::parse(key).ok_or_else(|| bad(known))?;
        if !matches!(*op, "=" | "!=") {
            return Err(bad("only sums can be compared by size"));
        }
        let values = values.split(',').map(str::to_owned).collect();
        let keep = *op == "=";
        self.terms.push(Term { field, values, keep });
        Ok(())
    }

    /// True if a row passes.
    pub fn passes(&self, index: &PrincipalIndex, row: &TrailRow) -> bool {
        self.terms
            .iter()
            .all(|t| t.values.iter().any(|v| t.field.is(index, row, v)) == t.keep)
    }

    /// True if a finished group passes.
    pub fn passes_sums(&self, s: &Summary) -> bool {
        self.sums.iter().all(|t| t.holds(s))
    }
}

impl Field {
    fn parse(key: &str) -> Option<Self> {
        match key {
            "error" => Some(Field::Error),
            "service" => Some(Field::Service),
            "account" => Some(Field::Account),
            _ => TrailKey::parse(key).map(Field::Key),
        }
    }

    fn is(self, index: &PrincipalIndex, row: &TrailRow, value: &str) -> bool {
        let text = match self {
            Field::Key(TrailKey::Ip) if value.contains('/') => return inside(index, row, value),
            Field::Error if value == "no" => return row.error == 0,
            Field::Error if value == "yes" => return row.error != 0,
            Field::Key(key) => key.of(index, row),
            Field::Error => index.text(row.error).to_owned(),
            Field::Service => index.text(row.service).to_owned(),
            Field::Account => index.principal(row).and_then(|p| p.account.clone()).unwrap_or_default(),
        };
        matches(&text, value)
    }
}

impl SumTerm {
    fn holds(&self, s: &Summary) -> bool {
        let have = match self.column.as_str() {
            "bytes" => s.bytes_out as f64,
            "bytes_in" => s.bytes_in as f64,
            "requests" => s.requests as f64,
            "errors" => s.errors as f64,
            _ => s.objects.number as f64,
        };
        match self.op.as_str() {
            "=" => have == self.value,
            "!=" => have != self.value,
            "<" => have < self.value,
            "<=" => have <= self.value,
            ">" => have > self.value,
            _ => have >= self.value,
        }
    }
}

fn inside(index: &PrincipalIndex, row: &TrailRow, network: &str) -> bool {
    let network: Option<IpNetwork> = network.parse().ok();
    network
        .zip(index.addr(row.source))
        .is_some_and(|(n, a)| n.contains(a.ip()))
}

/// True if a text fits a pattern in which `*` stands for any text.
fn matches(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(tail) = text.strip_prefix(start) else {
        return false;
    };
    rest.is_empty()
        || tail
            .char_indices()
            .any(|(i, _)| tail.get(i..).is_some_and(|t| matches(t, rest)))
        || matches("", rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (text, pattern, fits) in [
            ("GetObject", "Get*", true),
            ("GetObject", "*Object", true),
            ("arn:aws:iam::1:user/dev", "*user/d*", true),
            ("GetObject", "Put*", false),
            ("", "*", true),
            ("abc", "a*d", false),
        ] {
            assert_eq!(matches(text, pattern), fits, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, word) in [
            ("colour=red", "principal"),
            ("bytes>much", "number"),
            ("event>1", "size"),
            ("event", "key=value"),
        ] {
            let told = TrailFilter::parse(text).unwrap_err().to_string();
            assert!(told.contains(word), "{told}");
        }
    }
}
