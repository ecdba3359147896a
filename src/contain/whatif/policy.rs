//! A policy, read as far as it is understood: statements, and the names of what is not.
//!
//! Grammar: "IAM JSON policy elements" in the IAM user guide. One value stands for a list of one; names of actions and keys
//! have no case.

use serde_json::Value;

use crate::error::{Error, Result};

/// A policy that is to be tried.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where it would be attached.
    pub scope: Scope,
    /// Its statements.
    pub statements: Vec<Statement>,
    /// Operators and keys that are not understood, sorted: what depends on them stays unknown.
    pub unsupported: Vec<String>,
}

/// Where a policy is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To the S3 endpoints: what it does not allow does not pass them.
    Endpoint,
    /// To buckets: what it denies is refused, the rest is up to others.
    Bucket,
}

/// One statement.
#[derive(Debug, Clone, Default)]
pub struct Statement {
    /// True for `Allow`.
    pub allows: bool,
    /// Who: `*`, ARNs, accounts; none if it says `NotPrincipal` or something else.
    pub principals: Option<Vec<String>>,
    /// Which calls, and whether all but these.
    pub actions: (Vec<String>, bool),
    /// Which ARNs, and whether all but these.
    pub resources: (Vec<String>, bool),
    /// All of which must hold.
    pub conditions: Vec<Condition>,
}

/// One key of one operator.
#[derive(Debug, Clone)]
pub struct Condition {
    /// In lower case, without `IfExists`.
    pub operator: String,
    /// True with `IfExists`.
    pub if_exists: bool,
    /// In lower case.
    pub key: String,
    /// Any of which will do (for negated operators: none of which may).
    pub values: Vec<String>,
}

/// Keys whose value the trail shows.
const KEYS: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:resourceaccount",
    "aws:sourceip",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:viaawsservice",
    "aws:vpcsourceip",
    "s3:resourceaccount",
];

/// Operators that are understood.
const OPERATORS: &[&str] = &[
    "arnequals",
    "arnlike",
    "arnnotequals",
    "arnnotlike",
    "bool",
    "ipaddress",
    "notipaddress",
    "null",
    "stringequals",
    "stringequalsignorecase",
    "stringlike",
    "stringnotequals",
    "stringnotequalsignorecase",
    "stringnotlike",
];

impl Condition {
    /// True if operator and key are understood.
    pub fn is_known(&self) -> bool {
        OPERATORS.contains(&self.operator.as_str()) && KEYS.contains(&self.key.as_str())
    }
}

impl Policy {
    /// Reads one; `scope` decides what cannot be told from it.
    ///
    /// # Errors
    /// `Usage` if it is no policy, or its scope cannot be told.
    pub fn parse(text: &str, scope: Option<Scope>) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|e| Error::usage(format!("no JSON: {e}")))?;
        let list = match value.get("Statement") {
            Some(Value::Array(list)) => list.clone(),
            Some(one @ Value::Object(_)) => vec![one.clone()],
            _ => return Err(Error::usage("no policy: expected Statement")),
        };
        let statements = list.iter().map(statement).collect::<Result<Vec<_>>>()?;
        let mut unsupported: Vec<String> = statements.iter().flat_map(unknown).collect();
        unsupported.sort();
        unsupported.dedup();
        Ok(Policy {
            scope: scope.map_or_else(|| told(&statements), Ok)?,
            statements,
            unsupported,
        })
    }
}

/// Endpoint policies allow, bucket policies that close deny.
fn told(statements: &[Statement]) -> Result<Scope> {
    let allowing = statements.iter().filter(|s| s.allows).count();
    match (allowing, statements.len()) {
        (_, 0) => Err(Error::usage("a policy without a statement")),
        (n, all) if n == all => Ok(Scope::Endpoint),
        (0, _) => Ok(Scope::Bucket),
        _ => Err(Error::usage(
            "it allows and denies: say with --attach endpoint or --attach bucket where it would stand",
        )),
    }
}

fn unknown(s: &Statement) -> Vec<String> {
    let mut out: Vec<String> = s
        .conditions
        .iter()
        .filter(|c| !c.is_known())
        .map(|c| format!("{} {}", c.operator, c.key))
        .collect();
    if s.principals.is_none() {
        out.push("a principal that is neither `*` nor AWS".to_owned());
    }
    out
}

fn statement(v: &Value) -> Result<Statement> {
    let allows = match v.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err(Error::usage("a statement whose Effect is neither Allow nor Deny")),
    };
    let either = |name: &str| match (v.get(name), v.get(format!("Not{name}"))) {
        (Some(list), _) => (texts(list), false),
        (None, Some(list)) => (texts(list), true),
        (None, None) => (Vec::new(), true),
    };
    Ok(Statement {
        allows,
        principals: principals(v),
        actions: either("Action"),
        resources: either("Resource"),
        conditions: conditions(v.get("Condition")),
    })
}

/// None for what is not understood.
fn principals(v: &Value) -> Option<Vec<String>> {
    if v.get("NotPrincipal").is_some() {
        return None;
    }
    match v.get("Principal") {
        None => Some(vec!["*".to_owned()]),
        Some(Value::String(all)) if all == "*" => Some(vec!["*".to_owned()]),
        Some(Value::Object(kinds)) if kinds.len() == 1 => Some(texts(kinds.get("AWS")?)),
        Some(_) => None,
    }
}

fn conditions(v: Option<&Value>) -> Vec<Condition> {
    let mut out = Vec::new();
    for (operator, keys) in v.and_then(Value::as_object).into_iter().flatten() {
        let operator = operator.to_ascii_lowercase();
        let (operator, if_exists) = match operator.strip_suffix("ifexists") {
            Some(plain) => (plain.to_owned(), true),
            None => (operator, false),
        };
        for (key, values) in keys.as_object().into_iter().flatten() {
            out.push(Condition {
                operator: operator.clone(),
                if_exists,
                key: key.to_ascii_lowercase(),
                values: texts(values),
            });
        }
    }
    out
}

fn texts(v: &Value) -> Vec<String> {
    let one = |v: &Value| match v {
        Value::String(s) => Some(s.clone()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    match v {
        Value::Array(list) => list.iter().filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}
