//! Plans as text for a terminal, as Markdown, as JSON, and as files.
//!
//! Titles come from rules and are escaped all the same; documents and lines hold checked names only. A file of lines begins by
//! ending: whoever wants to run it has to take out the guard, line by line.

use serde_json::{Value, json};

use super::control::Control;
use super::plan::Plan;
use crate::net::printable;

/// For a terminal.
pub fn text(plans: &[Plan]) -> String {
    let mut out = String::from("For review: nothing has been applied.\n");
    for plan in plans {
        out += &format!(
            "\n{}  {}{}\n",
            plan.id,
            severity(plan),
            printable(plan.title.as_bytes())
        );
        for (n, control) in plan.controls.iter().enumerate() {
            out += &format!("\n{:>3}. {}  [{}]{}\n", n + 1, control.title, control.id, done(control));
            for (label, lines) in sections(control) {
                for line in lines {
                    out += &format!("     {label:<8} {line}\n");
                }
            }
            for document in &control.documents {
                out += &format!("     {:<8} {}\n", "file", document.name);
                for line in pretty(&document.content).lines() {
                    out += &format!("       {}\n", printable(line.as_bytes()));
                }
            }
            for command in &control.commands {
                out += &format!("     $ {command}\n");
            }
        }
        for name in &plan.refused {
            out += &format!("     refused  {name}\n");
        }
    }
    out
}

/// As Markdown; code stands in fences longer than any in it.
pub fn markdown(plans: &[Plan]) -> String {
    let mut out = String::from("# Controls to review\n\nNothing has been applied.\n");
    for plan in plans {
        out += &format!("\n## {}\n\n{}{}\n", plan.id, severity(plan), foreign(&plan.title));
        for control in &plan.controls {
            out += &format!("\n### {} (`{}`){}\n", inert(&control.title), control.id, done(control));
            for (label, lines) in sections(control) {
                for line in lines {
                    out += &format!("\n- {label}: {}", inert(line));
                }
            }
            out.push('\n');
            for document in &control.documents {
                out += &format!("\n`{}`\n\n```json\n{}\n```\n", document.name, safe(&document.content));
            }
            if !control.commands.is_empty() {
                let lines: Vec<String> = control.commands.iter().map(ToString::to_string).collect();
                out += &format!("\n```sh\n{}\n```\n", lines.join("\n"));
            }
        }
        for name in &plan.refused {
            out += &format!("\n- refused: {}", foreign(name));
        }
    }
    out
}

/// `flowtrail.contain/1`.
pub fn json(plans: &[Plan]) -> Value {
    let control = |c: &Control| {
        let documents = c
            .documents
            .iter()
            .map(|d| json!({ "name": d.name, "kind": d.kind.as_str(), "content": d.content }));
        json!({ "id": c.id, "about": c.about, "title": c.title, "why": c.why, "needs": c.needs, "careful": c.careful, "done": c.done,
            "documents": documents.collect::<Value>(),
            "commands": c.commands.iter().map(ToString::to_string).collect::<Vec<_>>() })
    };
    let plan = |p: &Plan| {
        json!({ "incident": p.id, "title": p.title, "severity": p.severity, "refused": p.refused,
            "controls": p.controls.iter().map(control).collect::<Value>() })
    };
    json!({ "schema": "flowtrail.contain/1", "plans": plans.iter().map(plan).collect::<Value>() })
}

/// Relative paths and contents: a folder a plan, its documents, its lines and a page that explains them.
pub fn files(plans: &[Plan]) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for plan in plans {
        for document in plan.controls.iter().flat_map(|c| &c.documents) {
            out.push((
                format!("{}/{}", plan.id, document.name),
                pretty(&document.content) + "\n",
            ));
        }
        out.push((format!("{}/commands.sh", plan.id), script(plan)));
        out.push((format!("{}/README.md", plan.id), markdown(std::slice::from_ref(plan))));
    }
    out
}

const GUARD: &str = "#!/bin/sh\n# Lines to review, one by one, in this folder. The next line keeps them from running together.\n\
     echo 'to be reviewed line by line: see README.md' >&2; exit 1\n";

fn script(plan: &Plan) -> String {
    let mut out = GUARD.to_owned();
    for control in plan.controls.iter().filter(|c| !c.commands.is_empty()) {
        out += &format!("\n# {}\n", printable(control.title.as_bytes()));
        for need in &control.needs {
            out += &format!("# needs: {}\n", printable(need.as_bytes()));
        }
        for command in &control.commands {
            out += &format!("{command}\n");
        }
    }
    out
}

fn sections(c: &Control) -> [(&'static str, &[String]); 3] {
    [("why", &c.why), ("needs", &c.needs), ("careful", &c.careful)]
}

fn severity(plan: &Plan) -> String {
    match plan.severity.as_str() {
        "" => String::new(),
        s => format!("{}  ", s.to_uppercase()),
    }
}

fn done(c: &Control) -> String {
    c.done
        .as_deref()
        .map_or_else(String::new, |at| format!("  (done, {at})"))
}

/// The same for a page: selectors are as somebody wrote them.
fn safe(value: &Value) -> String {
    let text = pretty(value);
    text.lines()
        .map(|l| printable(l.as_bytes()))
        .collect::<Vec<_>>()
        .join("\n")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Markdown that means its letters.
fn inert(text: &str) -> String {
    escaped(text, "\\`*_{}[]<>#|!&~")
}

/// The same for text from elsewhere, which must not become a link by itself either.
fn foreign(text: &str) -> String {
    escaped(text, "\\`*_{}[]()<>#|!&~:/.@")
}

fn escaped(text: &str, special: &str) -> String {
    let mut out = String::new();
    for c in printable(text.as_bytes()).chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
