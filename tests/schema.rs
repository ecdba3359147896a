//! What the program prints is what docs/reference/finding.schema.json says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use serde_json::Value;
use std::process::Command;

/// A schema of docs/reference, by its file's name.
fn schema(name: &str) -> Value {
    let path = format!("{}/docs/reference/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The few words of JSON Schema that the schemas use.
fn check(schema: &Value, value: &Value, at: &str) {
    if let Some(other) = schema["$ref"].as_str() {
        return check(&self::schema(other), value, at);
    }
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
        fields(schema, object, at);
    }
}

/// An object's fields: named ones, or any of one kind, or anything where the schema says nothing.
fn fields(schema: &Value, object: &serde_json::Map<String, Value>, at: &str) {
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(name.as_str().unwrap()), "{at} lacks {name}");
    }
    let others = &schema["additionalProperties"];
    for (name, v) in object {
        let at = format!("{at}.{name}");
        match &schema["properties"][name] {
            Value::Null if others.is_object() => check(others, v, &at),
            Value::Null => assert!(others.is_null(), "{at} is not in the schema"),
            property => check(property, v, &at),
        }
    }
}

#[test]
fn every_incident_of_the_sample_fits_the_schema() {
    let root = env!("CARGO_MANIFEST_DIR");
    let schema = schema("finding.schema.json");
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

#[test]
fn results_and_stats_fit_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let stats = folder.path().join("stats.json");
    let stats = stats.to_str().unwrap();
    let account = ["samples/account/flow", "--trail", "samples/account/trail", "--custody"];
    let alerts = [
        "--guardduty",
        "samples/account/alerts/guardduty-findings.json",
        "--macie",
        "samples/account/alerts/macie-findings.json",
    ];
    let flows: &[&str] = &["samples/account/flow"];
    for paths in [
        &["samples/first"][..],
        flows,
        &account,
        &[&account[..], &alerts].concat(),
    ] {
        let common = [
            "scan",
            "--quiet",
            "--min-severity",
            "info",
            "--format",
            "json",
            "--stats",
            stats,
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
        command.args(common).args(paths).current_dir(env!("CARGO_MANIFEST_DIR"));
        let out = command.output().unwrap();
        check(
            &schema("result.schema.json"),
            &serde_json::from_slice(&out.stdout).unwrap(),
            "result",
        );
        let stats = serde_json::from_slice(&std::fs::read(stats).unwrap()).unwrap();
        check(&schema("stats.schema.json"), &stats, "stats");
    }
}

#[test]
#[should_panic(expected = "result.view.hidden is not in the schema")]
fn what_no_schema_names_is_noticed() {
    let text = include_str!("data/exports/result.json");
    let mut result: Value = serde_json::from_str(text).unwrap();
    result["view"]["hidden"] = Value::from(1);
    let mut schema = schema("result.schema.json");
    schema["required"] = Value::Array(Vec::new());
    schema["properties"]["details"] = serde_json::json!({"type": "array", "items": {"type": "object"}});
    check(&schema, &result, "result");
}
