//! Rows and columns as CSV, NDJSON, JSON and Markdown: what `top`, `trail`, `lookup` and `intel` print.
//!
//! CSV follows RFC 4180; text that a spreadsheet would take for a formula gets a `'` in front. Integers beyond 2^53 are
//! JSON strings, since most readers would round them.

use crate::net::{Seconds, Stamp, decimal, printable, rfc3339};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// A table of values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Grid {
    /// Column names: the CSV header and the JSON keys.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text, possibly written by an attacker.
    Text(String),
    /// A count of things.
    Count(u128),
    /// A count of bytes: the same to machines, with a unit to people.
    Bytes(u128),
    /// A time, as RFC 3339.
    Time(Seconds),
    /// Nothing: `-` to people and in CSV, null in JSON.
    None,
}

/// Largest integer that every JSON reader keeps exact.
pub const JSON_EXACT: u128 = 1 << 53;

/// An integer for JSON: a number up to 2^53, a decimal string beyond.
pub fn json_integer(n: u128) -> serde_json::Value {
    if n <= JSON_EXACT {
        serde_json::Value::from(n as u64)
    } else {
        serde_json::Value::from(n.to_string())
    }
}

impl Cell {
    /// For people: bytes with a unit, text made safe for a terminal.
    pub fn for_people(&self) -> String {
        match self {
            Cell::Text(s) => printable(s.as_bytes()),
            Cell::Count(n) => grouped(*n),
            Cell::Bytes(n) => crate::net::human_bytes(*n),
            Cell::Time(t) => rfc3339(*t),
            Cell::None => "-".into(),
        }
    }

    /// True for values that are set flush right.
    pub fn is_number(&self) -> bool {
        matches!(self, Cell::Count(_) | Cell::Bytes(_))
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Cell::Text(s) => serde_json::Value::from(s.as_str()),
            Cell::Count(n) | Cell::Bytes(n) => json_integer(*n),
            Cell::Time(t) => serde_json::Value::from(rfc3339(*t)),
            Cell::None => serde_json::Value::Null,
        }
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Cell::Text(s) => out.write_all(csv_text(s).as_bytes()),
            Cell::Count(n) | Cell::Bytes(n) => match u64::try_from(*n) {
                Ok(n) => {
                    let mut digits = [0; 20];
                    let length = decimal(n, &mut digits);
                    out.write_all(&digits[..length])
                }
                Err(_) => write!(out, "{n}"),
            },
            Cell::Time(t) => out.write_all(Stamp::of(*t).as_str().as_bytes()),
            Cell::None => out.write_all(b"-"),
        }
    }
}

/// Integers as [`json_integer`] gives them.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(s) => to.serialize_str(s),
            Cell::Count(n) | Cell::Bytes(n) => json_integer(*n).serialize(to),
            Cell::Time(t) => to.serialize_str(Stamp::of(*t).as_str()),
            Cell::None => to.serialize_unit(),
        }
    }
}

/// A row with the names of its columns.
struct Object<'g>(&'g [String], &'g [Cell]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().zip(self.1))
    }
}

impl Grid {
    /// A grid without rows.
    pub fn new(columns: &[&str]) -> Self {
        Grid {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// One JSON object a line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn ndjson(&self, out: &mut dyn Write) -> io::Result<()> {
        for row in &self.rows {
            serde_json::to_writer(&mut *out, &Object(&self.columns, row))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// The rows as an array of objects.
    pub fn objects(&self) -> serde_json::Value {
        self.rows
            .iter()
            .map(|r| serde_json::Value::Object(self.object(r)))
            .collect()
    }

    fn object(&self, row: &[Cell]) -> serde_json::Map<String, serde_json::Value> {
        self.columns.iter().cloned().zip(row.iter().map(Cell::json)).collect()
    }

    /// RFC 4180 with a header; lines end with LF.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        self.csv_header(out)?;
        self.csv_rows(out)
    }

    /// The header of [`Grid::csv`] alone.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        let header: Vec<_> = self.columns.iter().map(|c| csv_text(c)).collect();
        writeln!(out, "{}", header.join(","))
    }

    /// The rows of [`Grid::csv`] alone.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn csv_rows(&self, out: &mut dyn Write) -> io::Result<()> {
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate() {
                if i > 0 {
                    out.write_all(b",")?;
                }
                cell.csv(out)?;
            }
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// A Markdown table.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        writeln!(out, "{}", line(self.columns.iter().map(|c| markdown_text(c)).collect()))?;
        let numeric = |i: usize| self.rows.first().and_then(|r| r.get(i)).is_some_and(Cell::is_number);
        let rule = |i| if numeric(i) { "---:" } else { "---" }.to_string();
        writeln!(out, "{}", line((0..self.columns.len()).map(rule).collect()))?;
        for row in &self.rows {
            writeln!(
                out,
                "{}",
                line(row.iter().map(|c| markdown_text(&c.for_people())).collect())
            )?;
        }
        Ok(())
    }
}

/// Digits in groups of three.
pub fn grouped(n: u128) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(d);
    }
    out
}

/// A CSV cell of text: quoted where RFC 4180 asks for it, defused where a spreadsheet would run it.
pub fn csv_text(s: &str) -> Cow<'_, str> {
    // Ids, addresses, times, names: nearly all.
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'/' | b'_');
    if s.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) && s.bytes().all(harmless) {
        return Cow::from(s);
    }
    let formula = s.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) && s != "-";
    let safe = if formula {
        Cow::from(format!("'{s}"))
    } else {
        Cow::from(s)
    };
    match safe.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", safe.replace('"', "\"\"")).into(),
        false => safe,
    }
}

/// Text in Markdown: nothing in it is markup, and no address in it becomes a link, also not where bare ones do (GFM).
pub fn markdown_text(s: &str) -> String {
    let safe = printable(s.as_bytes());
    let mut out = String::with_capacity(safe.len() + 16);
    let mut rest = safe.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            ':' if rest.peek() == Some(&'/') => out.push_str("&#58;"),
            // An entity is put back before mail addresses are looked for; a code span is not.
            '@' => {
                out.push_str("`@");
                while rest.next_if_eq(&'@').is_some() {
                    out.push('@');
                }
                out.push('`');
            }
            '.' if ends_in_www(&out) => out.push_str("&#46;"),
            _ => out.push(c),
        }
    }
    out
}

/// True behind `www`, whose dot would begin a link.
fn ends_in_www(text: &str) -> bool {
    text.get(text.len().saturating_sub(3)..)
        .is_some_and(|end| end.eq_ignore_ascii_case("www"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut g = Grid::new(&["name", "bytes"]);
        g.rows.push(vec![
            Cell::Text("=cmd|'/c calc'!A1".into()),
            Cell::Bytes(JSON_EXACT + 1),
        ]);
        g.rows.push(vec![Cell::None, Cell::Bytes(5)]);
        g
    }

    fn text(f: impl Fn(&Grid, &mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        f(&grid(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn formulas_are_defused_and_large_numbers_kept_exact() {
        assert_eq!(
            text(Grid::csv),
            "name,bytes\n'=cmd|'/c calc'!A1,9007199254740993\n-,5\n"
        );
        assert!(text(Grid::ndjson).starts_with(r#"{"name":"=cmd|'/c calc'!A1","bytes":"9007199254740993"}"#));
    }

    #[test]
    fn markdown_has_no_markup_from_the_data() {
        assert_eq!(
            markdown_text("[x](javascript:1) <b>|"),
            "\\[x\\](javascript:1) &lt;b&gt;\\|"
        );
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!([grouped(0), grouped(999), grouped(12_847)], ["0", "999", "12,847"]);
    }
}
