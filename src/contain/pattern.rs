//! Metric filter patterns for JSON events: the grammar, a writer and a reader. No tool checks them before AWS does.
//!
//! Source: "Filter pattern syntax for metric filters" in the CloudWatch Logs user guide. The part that is written here:
//!
//! ```text
//! pattern   = "{" expr "}"
//! expr      = term { ("&&" | "||") term }          && binds more than ||; parentheses group
//! term      = "(" expr ")" | condition
//! condition = selector ("=" | "!=") (string | number | wildcard)
//!           | selector ("<" | "<=" | ">" | ">=") number
//!           | selector ("EXISTS" | "NOT EXISTS" | "IS NULL" | "IS TRUE" | "IS FALSE")
//! selector  = "$" { "." name | "[" digits "]" | "['" text "']" }
//! string    = '"' text '"'          may hold * as a wildcard
//! wildcard  = letters, digits, "_", "-", ".", ":", "*", without quotes
//! ```

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, digit1, multispace0, multispace1};
use nom::combinator::{all_consuming, opt, recognize, value};
use nom::multi::{many0_count, many1_count};
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Parser};
use std::fmt;

/// A pattern that is true if all of its clauses are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Vec<Clause>);

/// One condition on a field of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    field: &'static str,
    value: Option<&'static str>,
}

impl Clause {
    /// The field has this text.
    pub const fn equals(field: &'static str, text: &'static str) -> Self {
        Clause {
            field,
            value: Some(text),
        }
    }

    /// The event has no such field.
    pub const fn absent(field: &'static str) -> Self {
        Clause { field, value: None }
    }
}

impl Filter {
    /// All of these.
    pub const fn all(clauses: Vec<Clause>) -> Self {
        Filter(clauses)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ ")?;
        for (n, clause) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" && ")?;
            }
            match clause.value {
                Some(text) => write!(f, "($.{} = \"{text}\")", clause.field)?,
                None => write!(f, "($.{} NOT EXISTS)", clause.field)?,
            }
        }
        f.write_str(" }")
    }
}

/// True if the text is a pattern of the grammar above, no longer than AWS takes (1,024 characters).
pub fn is_pattern(text: &str) -> bool {
    text.chars().count() <= 1_024 && all_consuming(pattern).parse(text).is_ok()
}

fn ws<'a, O>(
    inner: impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>> {
    delimited(multispace0, inner, multispace0)
}

fn pattern(i: &str) -> IResult<&str, ()> {
    value((), delimited(ws(char('{')), |i| expr(i, DEEPEST), ws(char('}')))).parse(i)
}

/// Parentheses inside parentheses that are read.
const DEEPEST: usize = 16;

fn expr(i: &str, depth: usize) -> IResult<&str, ()> {
    let more = pair(ws(alt((tag("&&"), tag("||")))), |i| term(i, depth));
    value((), pair(|i| term(i, depth), many0_count(more))).parse(i)
}

fn term(i: &str, depth: usize) -> IResult<&str, ()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(nom::Err::Failure(nom::error::Error::new(
            i,
            nom::error::ErrorKind::TooLarge,
        )));
    };
    alt((
        delimited(ws(char('(')), move |i| expr(i, depth), ws(char(')'))),
        condition,
    ))
    .parse(i)
}

fn condition(i: &str) -> IResult<&str, ()> {
    let same = pair(ws(alt((tag("!="), tag("=")))), alt((string, number, wildcard)));
    let order = pair(ws(alt((tag("<="), tag(">="), tag("<"), tag(">")))), number);
    let word = preceded(
        multispace1,
        alt((
            tag("EXISTS"),
            tag("NOT EXISTS"),
            tag("IS NULL"),
            tag("IS TRUE"),
            tag("IS FALSE"),
        )),
    );
    let test = alt((value((), same), value((), order), value((), word)));
    value((), pair(ws_before(selector), test)).parse(i)
}

fn ws_before<'a, O>(
    inner: impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>> {
    preceded(multispace0, inner)
}

fn selector(i: &str) -> IResult<&str, ()> {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let member = value((), preceded(char('.'), take_while1(name)));
    let index = value((), delimited(char('['), digit1, char(']')));
    let quoted = value((), delimited(tag("['"), take_while1(|c| c != '\''), tag("']")));
    value((), preceded(char('$'), many1_count(alt((member, quoted, index))))).parse(i)
}

fn string(i: &str) -> IResult<&str, ()> {
    value(
        (),
        delimited(char('"'), take_while(|c| c != '"' && c != '\\'), char('"')),
    )
    .parse(i)
}

fn number(i: &str) -> IResult<&str, ()> {
    let mut digits = recognize((opt(char('-')), digit1, opt(preceded(char('.'), digit1))));
    let (rest, _) = digits.parse(i)?;
    match rest.chars().next() {
        Some(c) if is_bare(c) => Err(nom::Err::Error(nom::error::Error::new(i, nom::error::ErrorKind::Digit))),
        _ => Ok((rest, ())),
    }
}

fn wildcard(i: &str) -> IResult<&str, ()> {
    value((), take_while1(is_bare)).parse(i)
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-.:*".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_aws_and_of_the_playbook_are_read() {
        let good = [
            r#"{ ($.eventSource = "s3.amazonaws.com") && ($.eventName = "GetObject") }"#,
            r#"{$.errorCode = "*UnauthorizedOperation" || $.errorCode = AccessDenied*}"#,
            r#"{ ($.eventName = ConsoleLogin) && ($.additionalEventData.MFAUsed != "Yes") }"#,
            "{ $.userIdentity.sessionContext NOT EXISTS }",
            "{ $.a[0].b >= 1.5 && ($.c IS TRUE || $.d IS NULL) }",
            "{ $['a b'] = -3 }",
        ];
        for text in good {
            assert!(is_pattern(text), "{text}");
        }
    }

    #[test]
    fn broken_patterns_are_not() {
        let bad = [
            "",
            "{ $.a = ",
            "{ $.a }",
            "$.a = 1",
            r#"{ $.a = "b }"#,
            r#"{ $.a = "b" & $.c = 1 }"#,
            "{ ($.a = 1 }",
            "{ $.a < b }",
            "{ $ = 1 }",
            "{ $.a = 1 } x",
        ];
        for text in bad {
            assert!(!is_pattern(text), "{text}");
        }
        let deep = format!("{{{}$.a = 1{}}}", "(".repeat(40), ")".repeat(40));
        assert!(!is_pattern(&deep));
    }

    #[test]
    fn what_is_written_is_a_pattern() {
        let filter = Filter::all(vec![
            Clause::equals("eventName", "GetObject"),
            Clause::absent("errorCode"),
        ]);
        assert_eq!(
            filter.to_string(),
            r#"{ ($.eventName = "GetObject") && ($.errorCode NOT EXISTS) }"#
        );
        assert!(is_pattern(&filter.to_string()));
    }
}
