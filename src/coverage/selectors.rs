//! Event selectors of trails, basic and advanced: does a trail record the data events of a bucket?
//!
//! Shapes: GetEventSelectors in the CloudTrail API reference. A field of an advanced selector that narrows further than
//! the bucket (event names, callers, endpoints) makes the answer "part".

use crate::inventory::Inventory;
use serde_json::Value;

/// How far selectors cover a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// All reads.
    pub read: bool,
    /// All writes.
    pub write: bool,
    /// Some keys, events or callers.
    pub part: bool,
}

/// All selectors that are known.
#[derive(Debug, Clone, Default)]
pub struct Selectors {
    parsed: Vec<Value>,
}

const BUCKETS: &str = "arn:aws:s3";

impl Selectors {
    /// Those of the inventory.
    pub fn of(inventory: &Inventory) -> Self {
        let parse = |s: &crate::inventory::Selector| serde_json::from_str(&s.json).ok();
        Selectors {
            parsed: inventory.selectors.iter().filter_map(parse).collect(),
        }
    }

    /// True if nothing is known of any trail.
    pub fn is_empty(&self) -> bool {
        self.parsed.is_empty()
    }

    /// How far the data events of a bucket are recorded.
    pub fn scope(&self, bucket: &str) -> Scope {
        self.parsed
            .iter()
            .map(|s| scope(s, bucket))
            .fold(Scope::default(), Scope::or)
    }

    /// True if some selector asks for network activity events.
    pub fn network_activity(&self) -> bool {
        let wants = |s: &Value| fields(s).any(|f| is(f, "Field", "eventCategory") && equals(f, "NetworkActivity"));
        self.parsed.iter().any(wants)
    }

    /// Names of buckets that selectors name, sorted.
    pub fn buckets(&self) -> Vec<String> {
        let arns = self.parsed.iter().flat_map(|s| {
            let basic = list(s, "DataResources").flat_map(|r| list(r, "Values"));
            let advanced = fields(s)
                .filter(|f| is(f, "Field", "resources.ARN"))
                .flat_map(|f| list(f, "StartsWith").chain(list(f, "Equals")));
            basic.chain(advanced).collect::<Vec<_>>()
        });
        let mut names: Vec<String> = arns.filter_map(|a| bucket_of(a.as_str()?)).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Scope {
    const ALL: Scope = Scope {
        read: true,
        write: true,
        part: false,
    };

    fn or(self, other: Scope) -> Scope {
        Scope {
            read: self.read || other.read,
            write: self.write || other.write,
            part: self.part || other.part,
        }
    }

    fn and(self, other: Scope) -> Scope {
        Scope {
            read: self.read && other.read,
            write: self.write && other.write,
            part: self.part || other.part,
        }
    }

    fn narrowed(self) -> Scope {
        Scope {
            read: false,
            write: false,
            part: self.read || self.write || self.part,
        }
    }

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match (self.read, self.write, self.part) {
            (true, true, _) => "all",
            (true, false, _) => "reads",
            (false, true, _) => "writes",
            (false, false, true) => "part",
            (false, false, false) => "none",
        }
    }
}

fn scope(selector: &Value, bucket: &str) -> Scope {
    if selector.get("FieldSelectors").is_some() {
        return advanced(selector, bucket);
    }
    let kind = selector.get("ReadWriteType").and_then(Value::as_str).unwrap_or("All");
    let wanted = Scope {
        read: kind != "WriteOnly",
        write: kind != "ReadOnly",
        part: false,
    };
    let objects = list(selector, "DataResources").filter(|r| is(r, "Type", "AWS::S3::Object"));
    let arns = objects.flat_map(|r| list(r, "Values")).filter_map(Value::as_str);
    arns.map(|a| prefix(a, bucket))
        .fold(Scope::default(), Scope::or)
        .and(wanted)
}

fn advanced(selector: &Value, bucket: &str) -> Scope {
    let on = |name: &'static str| fields(selector).filter(move |f| is(f, "Field", name));
    let is_data = on("eventCategory").any(|f| equals(f, "Data"));
    let is_object = on("resources.type").any(|f| equals(f, "AWS::S3::Object"));
    if !is_data || !is_object {
        return Scope::default();
    }
    fields(selector)
        .map(|f| narrowing(f, bucket))
        .fold(Scope::ALL, |all, one| {
            let whole = all.and(one);
            let nothing = !(one.read || one.write || one.part) || !(all.read || all.write || all.part);
            if nothing { Scope::default() } else { whole }
        })
}

/// What one field selector leaves of a bucket.
fn narrowing(field: &Value, bucket: &str) -> Scope {
    match field.get("Field").and_then(Value::as_str) {
        Some("eventCategory" | "resources.type") => Scope::ALL,
        Some("readOnly") => Scope {
            read: equals(field, "true"),
            write: equals(field, "false"),
            part: false,
        },
        Some("resources.ARN") => by_arn(field, bucket),
        _ => Scope::ALL.narrowed(),
    }
}

fn by_arn(field: &Value, bucket: &str) -> Scope {
    let texts = |key: &str| -> Vec<&str> { list(field, key).filter_map(Value::as_str).collect() };
    let (starts, same) = (texts("StartsWith"), texts("Equals"));
    let mut scope = Scope::ALL;
    if !starts.is_empty() || !same.is_empty() {
        let of_start = starts.iter().map(|a| prefix(a, bucket));
        let of_same = same.iter().map(|a| prefix(a, bucket).narrowed());
        scope = of_start.chain(of_same).fold(Scope::default(), Scope::or);
    }
    for not in texts("NotStartsWith") {
        let left_out = prefix(not, bucket);
        if left_out.read {
            return Scope::default();
        } else if left_out.part {
            scope = scope.narrowed();
        }
    }
    let ends = !texts("EndsWith").is_empty() || !texts("NotEndsWith").is_empty();
    if ends || texts("NotEquals").iter().any(|a| prefix(a, bucket).part) {
        scope = scope.narrowed();
    }
    scope
}

/// What the objects whose ARN starts with `arn` are of a bucket.
fn prefix(arn: &str, bucket: &str) -> Scope {
    let objects = format!("{BUCKETS}:::{bucket}/");
    if objects.starts_with(arn) {
        Scope::ALL
    } else if arn.starts_with(&objects) {
        Scope::ALL.narrowed()
    } else {
        Scope::default()
    }
}

fn bucket_of(arn: &str) -> Option<String> {
    let name = arn.strip_prefix("arn:aws:s3:::")?.split('/').next()?;
    (!name.is_empty()).then(|| name.to_string())
}

fn fields(selector: &Value) -> impl Iterator<Item = &Value> {
    list(selector, "FieldSelectors")
}

fn list<'a>(v: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    v.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn is(v: &Value, key: &str, text: &str) -> bool {
    v.get(key).and_then(Value::as_str) == Some(text)
}

fn equals(field: &Value, text: &str) -> bool {
    list(field, "Equals").any(|v| v.as_str() == Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn word(selector: Value, bucket: &str) -> &'static str {
        Selectors { parsed: vec![selector] }.scope(bucket).as_str()
    }

    fn basic(kind: &str, arn: &str) -> Value {
        json!({"ReadWriteType": kind, "DataResources": [{"Type": "AWS::S3::Object", "Values": [arn]}]})
    }

    fn advanced(more: Value) -> Value {
        json!({"FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Data"]},
            {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
            more]})
    }

    #[test]
    fn basic_selectors_cover_by_the_start_of_the_arn() {
        assert_eq!(word(basic("All", "arn:aws:s3"), "a"), "all");
        assert_eq!(word(basic("ReadOnly", "arn:aws:s3:::a/"), "a"), "reads");
        assert_eq!(word(basic("WriteOnly", "arn:aws:s3:::a/"), "a"), "writes");
        assert_eq!(word(basic("All", "arn:aws:s3:::a/logs/"), "a"), "part");
        assert_eq!(word(basic("All", "arn:aws:s3:::ab/"), "a"), "none");
        assert_eq!(word(json!({"ReadWriteType": "All", "DataResources": []}), "a"), "none");
    }

    #[test]
    fn advanced_selectors_are_narrowed_by_every_field() {
        let arn = |key: &str, value: &str| json!({"Field": "resources.ARN", key: [value]});
        assert_eq!(word(advanced(json!({})), "a"), "part", "an unknown field narrows");
        assert_eq!(word(advanced(arn("StartsWith", "arn:aws:s3:::a/")), "a"), "all");
        assert_eq!(word(advanced(arn("StartsWith", "arn:aws:s3:::a/")), "b"), "none");
        assert_eq!(word(advanced(arn("NotStartsWith", "arn:aws:s3:::a/")), "a"), "none");
        assert_eq!(word(advanced(arn("NotStartsWith", "arn:aws:s3:::a/tmp/")), "a"), "part");
        assert_eq!(word(advanced(arn("NotStartsWith", "arn:aws:s3:::a/")), "b"), "all");
        assert_eq!(word(advanced(arn("Equals", "arn:aws:s3:::a/x")), "a"), "part");
        assert_eq!(
            word(advanced(json!({"Field": "readOnly", "Equals": ["false"]})), "a"),
            "writes"
        );
        assert_eq!(
            word(advanced(json!({"Field": "eventName", "Equals": ["GetObject"]})), "a"),
            "part"
        );
        let management = json!({"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]});
        assert_eq!(word(management, "a"), "none");
    }
}
