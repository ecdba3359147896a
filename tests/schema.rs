//! What the program prints is what docs/reference/finding.schema.json says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use serde_json::Value;
use std::process::Command;

/// The few words of JSON Schema that the schema uses.
fn check(schema: &Value, value: &Value, at: &str) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = |t: &Value| t == kind || (t == "number" && kind == "integer");
    let types = &schema["type"];
    assert!(
        types
            .as_array()
            .map_or_else(|| fits(types), |list| list.iter().any(fits)),
        "{at} is {kind}"
    );
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at} is {value}");
    }
    if let Some(items) = value.as_array() {
        items
            .iter()
            .enumerate()
            .for_each(|(i, v)| check(&schema["items"], v, &format!("{at}[{i}]")));
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().unwrap() {
            assert!(object.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
        }
        for (name, v) in object {
            let property = &schema["properties"][name];
            assert!(property.is_object(), "{at}.{name} is not in the schema");
            check(property, v, &format!("{at}.{name}"));
        }
    }
}

#[test]
fn every_incident_of_the_sample_fits_the_schema() {
    let root = env!("CARGO_MANIFEST_DIR");
    let schema: Value = serde_json::from_str(include_str!("../docs/reference/finding.schema.json")).unwrap();
    let sample = |part: &str| format!("{root}/samples/account/{part}");
    let (flow, trail) = (sample("flow"), sample("trail"));
    let args = [
        "scan",
        "--quiet",
        "--min-severity",
        "info",
        "--format",
        "ndjson",
        "--trail",
        &trail,
        &flow,
    ];
    let out = Command::new(env!("CARGO_BIN_EXE_flowtrail"))
        .args(args)
        .output()
        .unwrap();
    let lines: Vec<Value> = String::from_utf8(out.stdout)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(lines.len() >= 5);
    lines.iter().for_each(|incident| check(&schema, incident, "incident"));
}
