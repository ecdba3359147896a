//! JSON in all its deliveries: values one after the other, with newlines between them or none.
//!
//! An object is told by its members: `logEvents` or `events` hold the records (subscription envelopes, `get-log-events`),
//! `results` their columns (Logs Insights), `message` is a record (Firehose, a single event), `class_uid` 4001 an OCSF
//! record, and three names of fields are a record by themselves. Only the object in hand is held in memory, never more of
//! it than the line cap, however large the document around it; a broken one costs itself.

use crate::flow::Field;
use crate::flow::lines::LINE_CAP;
use crate::forms::lines::Place;
use crate::forms::names::{OCSF, OCSF_CLASS, Reading, are_records, field_of};
use crate::forms::record::Columns;
use crate::forms::values::{Skip, paths, scalar, text_of, value_of};
use crate::forms::{Decoder, Out};
use crate::input::brackets::{Step, next_member, skip_space, value_end};

/// Members that hold the records of a document.
const WRAPPERS: [&[u8]; 3] = [b"logEvents", b"events", b"results"];

/// Splits a content into its objects.
#[derive(Default)]
pub(super) struct Json {
    /// What is not read yet.
    pending: Vec<u8>,
    /// Where `pending` starts in the content.
    base: Place,
    /// Inside an object whose records are being read: behind the array, its other members are passed over.
    wrapper: Wrapper,
    /// Rest of an object that is longer than the cap.
    skipping: Option<Skip>,
    columns: Columns,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Wrapper {
    #[default]
    Outside,
    /// In the array of records; true if they are control messages.
    Records(bool),
    Behind,
}

/// What one look at the pending bytes came to.
enum Look {
    /// So many bytes are done with.
    Done(usize),
    /// The value does not end in what is there.
    More,
    /// Nothing that JSON has here: so many bytes are to be told of and passed over.
    Broken(usize),
}

/// True if the content starts with JSON that holds records.
pub(super) fn tells(start: &[u8]) -> bool {
    let mut at = skip_space(start, 0);
    if start.get(at) == Some(&b'[') {
        at = skip_space(start, at + 1);
    }
    if start.get(at) != Some(&b'{') {
        return false;
    }
    let (mut from, mut fields) = (at + 1, Vec::new());
    while let Step::Member(member) = next_member(start, from) {
        let opens = |b| start.get(member.value) == Some(&b);
        if WRAPPERS.contains(&member.key) && opens(b'[') || member.key == b"message" && opens(b'"') {
            return true;
        }
        let Some(end) = value_end(start, member.value) else {
            break;
        };
        if member.key == b"class_uid" {
            return start.get(member.value..end) == Some(OCSF_CLASS);
        }
        if member.key.contains(&b'-') && Field::from_name(member.key).is_some() {
            // No delivery of AWS's spells members like a header; what somebody made of one is not guessed at.
            return false;
        }
        fields.extend(field_of(member.key));
        from = end;
    }
    are_records(fields)
}

impl Decoder for Json {
    fn feed(&mut self, bytes: &[u8], out: &mut Out) {
        let mut bytes = bytes;
        if let Some(mut skip) = self.skipping.take() {
            let end = skip.end(bytes);
            self.advance_over(bytes.get(..end).unwrap_or(bytes));
            if end == bytes.len() && !skip.is_done() {
                self.skipping = Some(skip);
                return;
            }
            bytes = bytes.get(end..).unwrap_or_default();
        }
        self.pending.extend_from_slice(bytes);
        self.objects(out);
    }

    fn finish(&mut self, whole: bool, out: &mut Out) {
        // What stays open is broken: a line of it is told of, and the next may be whole again.
        while whole && !self.pending.trim_ascii().is_empty() {
            let mut rest = std::mem::take(&mut self.pending);
            let end = memchr::memchr(b'\n', &rest).map_or(rest.len(), |i| i + 1);
            let line = rest.get(..end).unwrap_or_default();
            self.fault(line, self.here(), out);
            self.advance_over(line);
            rest.drain(..end);
            self.pending = rest;
            self.objects(out);
        }
    }
}

impl Json {
    /// Reads what is whole.
    fn objects(&mut self, out: &mut Out) {
        let pending = std::mem::take(&mut self.pending);
        let mut at = 0;
        loop {
            let next = skip_space(&pending, at);
            self.advance_over(pending.get(at..next).unwrap_or_default());
            at = next;
            if at >= pending.len() {
                break;
            }
            let rest = pending.get(at..).unwrap_or_default();
            let done = match self.look(rest, out) {
                Look::Done(n) => n,
                Look::More if rest.len() > LINE_CAP => {
                    self.fault(rest, self.here(), out);
                    let mut skip = Skip::default();
                    let end = skip.end(rest);
                    self.skipping = (!skip.is_done()).then_some(skip);
                    end
                }
                Look::More => break,
                Look::Broken(n) => {
                    self.fault(rest.get(..n).unwrap_or(rest), self.here(), out);
                    n
                }
            };
            self.advance_over(rest.get(..done).unwrap_or(rest));
            at += done.max(1);
        }
        self.pending = pending.get(at..).unwrap_or_default().to_vec();
    }

    fn advance_over(&mut self, bytes: &[u8]) {
        self.base.byte += bytes.len() as u64;
        self.base.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
    }

    /// Takes the next thing at the start of `rest`, which is no white space.
    fn look(&mut self, rest: &[u8], out: &mut Out) -> Look {
        match (self.wrapper, rest.first()) {
            (Wrapper::Behind, _) => self.behind(rest),
            (_, Some(b',')) | (Wrapper::Outside, Some(b'[' | b']')) => Look::Done(1),
            (Wrapper::Records(_), Some(b']')) => {
                self.wrapper = Wrapper::Behind;
                Look::Done(1)
            }
            (_, Some(b'{')) => self.object(rest, out),
            (Wrapper::Records(_), Some(b'[')) => self.insights_row(rest, out),
            _ => broken(rest),
        }
    }

    /// Members behind the records.
    fn behind(&mut self, rest: &[u8]) -> Look {
        match next_member(rest, 0) {
            Step::Close(end) => {
                self.wrapper = Wrapper::Outside;
                Look::Done(end)
            }
            Step::Member(m) => value_end(rest, m.value).map_or(Look::More, |end| bounded(rest, end)),
            Step::Broken => more_or_broken(rest, 0),
        }
    }

    fn object(&mut self, rest: &[u8], out: &mut Out) -> Look {
        let (mut from, mut control) = (1, false);
        let place = self.here();
        let mut message = None;
        loop {
            let member = match next_member(rest, from) {
                Step::Member(member) => member,
                Step::Close(end) => {
                    let object = rest.get(..end).unwrap_or(rest);
                    self.unit(object, message, place, out);
                    return Look::Done(end);
                }
                Step::Broken => return more_or_broken(rest, from),
            };
            if self.wrapper == Wrapper::Outside
                && WRAPPERS.contains(&member.key)
                && rest.get(member.value) == Some(&b'[')
            {
                self.wrapper = Wrapper::Records(control);
                return Look::Done(member.value + 1);
            }
            let Some(end) = value_end(rest, member.value).filter(|end| *end < rest.len()) else {
                return Look::More;
            };
            let value = rest.get(member.value..end).unwrap_or_default();
            control |= member.key == b"messageType" && value == b"\"CONTROL_MESSAGE\"";
            if member.key == b"message" && value.first() == Some(&b'"') {
                message = Some(value);
            }
            from = end;
        }
    }

    /// One object is whole.
    fn unit(&mut self, object: &[u8], message: Option<&[u8]>, place: Place, out: &mut Out) {
        if self.wrapper == Wrapper::Records(true) {
            return;
        }
        let (ocsf, names) = self.members(object);
        match message {
            Some(message) if !ocsf => {
                self.columns.drop_record();
                self.message(&text_of(message), place, out);
            }
            _ if ocsf || names => self.columns.finish(place, out),
            _ => {
                self.columns.drop_record();
                self.fault(object, place, out);
            }
        }
    }

    fn message(&mut self, text: &[u8], place: Place, out: &mut Out) {
        /// What CloudWatch Logs sends to see whether a destination lives.
        const CONTROL: &[u8] = b"CWL CONTROL MESSAGE";
        if !text.starts_with(CONTROL) {
            self.columns.plain_lines(out);
            out.line(text, place);
        }
    }

    /// Notes the values of an object: whether it is OCSF's, and whether its names are fields.
    fn members(&mut self, object: &[u8]) -> (bool, bool) {
        if value_of(object, b"class_uid") == Some(OCSF_CLASS) {
            let mut values = [None; OCSF.len()];
            paths(object, "", &mut values);
            for (rule, value) in OCSF.iter().zip(values) {
                if let Some(value) = value {
                    self.columns.set(rule.field, rule.reading, &scalar(value));
                }
            }
            return (true, true);
        }
        let mut from = 1;
        while let Step::Member(m) = next_member(object, from) {
            let Some(end) = value_end(object, m.value) else { break };
            if let Some(field) = field_of(m.key) {
                let value = object.get(m.value..end).unwrap_or_default();
                self.columns.set(field, Reading::Plain, &scalar(value));
            }
            from = end;
        }
        (false, are_records(self.columns.fields()))
    }

    /// `[{"field": "@message", "value": "…"}, …]`: a row of a Logs Insights answer.
    fn insights_row(&mut self, rest: &[u8], out: &mut Out) -> Look {
        let Some(end) = value_end(rest, 0) else {
            return Look::More;
        };
        let place = self.here();
        let row = rest.get(..end).unwrap_or(rest);
        let mut at = skip_space(row, 1);
        let mut message = None;
        while let Some(cell) = value_end(row, at)
            .and_then(|end| row.get(at..end))
            .filter(|c| c.starts_with(b"{"))
        {
            let (name, value) = (value_of(cell, b"field"), value_of(cell, b"value"));
            if let Some((name, value)) = name.map(text_of).zip(value) {
                if *name == *b"@message" {
                    message = Some(value);
                } else if let Some(field) = field_of(&name) {
                    self.columns.set(field, Reading::Plain, &scalar(value));
                }
            }
            at = skip_space(row, at + cell.len());
            if row.get(at) == Some(&b',') {
                at = skip_space(row, at + 1);
            }
        }
        let names = are_records(self.columns.fields());
        match message {
            Some(message) => {
                self.columns.drop_record();
                self.message(&text_of(message), place, out);
            }
            None if names => self.columns.finish(place, out),
            None => {
                self.columns.drop_record();
                self.fault(row, place, out);
            }
        }
        Look::Done(end)
    }

    /// Something that is no record: it becomes a line that is none, and is counted as such.
    fn fault(&mut self, text: &[u8], place: Place, out: &mut Out) {
        const SHOWN: usize = 256;
        self.columns.drop_record();
        out.line(text.get(..SHOWN).unwrap_or(text), place);
    }

    /// Where the pending bytes start, with lines counted from 1.
    fn here(&self) -> Place {
        Place {
            line: self.base.line + 1,
            byte: self.base.byte,
        }
    }
}

/// An end that is not the end of what is there: a number may go on, and a closing brace is still to come.
fn bounded(rest: &[u8], end: usize) -> Look {
    if end < rest.len() { Look::Done(end) } else { Look::More }
}

/// Between members stands neither a member nor the end: either it is still to come, or it is broken.
fn more_or_broken(rest: &[u8], from: usize) -> Look {
    let mut at = skip_space(rest, from);
    if rest.get(at) == Some(&b',') {
        at = skip_space(rest, at + 1);
    }
    match rest.get(at) {
        None => Look::More,
        Some(b'"') => match value_end(rest, at).map(|end| skip_space(rest, end)) {
            Some(colon) if rest.get(colon).is_some_and(|b| *b != b':') => broken(rest),
            _ => Look::More,
        },
        Some(_) => broken(rest),
    }
}

/// Passes over a broken thing: to the end of its line, or to the next object on it.
fn broken(rest: &[u8]) -> Look {
    let Some(line) = memchr::memchr(b'\n', rest) else {
        return Look::More;
    };
    let next = memchr::memchr(b'{', rest.get(1..line).unwrap_or_default()).map_or(line, |i| i + 1);
    Look::Broken(next.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "2 1 eni-1 10.0.0.1 192.0.2.1 1 2 6 1 7 10 20 ACCEPT OK";

    /// What comes out of a content that is fed in pieces of `step` bytes.
    fn read(text: &str, step: usize, whole: bool) -> Out {
        let (mut json, mut out) = (Json::default(), Out::default());
        text.as_bytes().chunks(step).for_each(|c| json.feed(c, &mut out));
        json.finish(whole, &mut out);
        out
    }

    fn lines(text: &str) -> String {
        assert!(tells(text.as_bytes()), "{text}");
        let all = read(text, text.len(), true);
        for step in [1, 2, 7, 64] {
            let pieces = read(text, step, true);
            assert_eq!(
                (pieces.text(), pieces.places()),
                (all.text(), all.places()),
                "in pieces of {step}"
            );
        }
        all.text()
    }

    #[test]
    fn messages_are_found_in_every_envelope() {
        let event = format!(r#"{{"id":"3","timestamp":1,"message":"{LINE}","extractedFields":{{"srcaddr":"x"}}}}"#);
        let two = format!("{LINE}\n{LINE}\n");
        let events =
            format!(r#"{{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{event},{event}],"x":[1]}}"#);
        assert_eq!(lines(&events), two);
        let answer = format!("{{\n \"events\": [\n  {event},\n  {event}\n ],\n \"nextToken\": \"a]}}b\"\n}}\n");
        assert_eq!(lines(&answer), two);
        assert_eq!(
            read(&answer, 999, true).places(),
            [(3, 17), (4, 21 + event.len() as u64)]
        );
        for between in ["", "\n", "\r\n", ",\n"] {
            assert_eq!(lines(&[event.as_str(), &event].join(between)), two);
        }
        assert_eq!(lines(&format!("[{event}, {event}]")), two);
        let row = format!(r#"[{{"field":"@ptr","value":"x"}},{{"field":"@message","value":"{LINE}"}}]"#);
        assert_eq!(
            lines(&format!(r#"{{"results":[{row},{row}],"status":"Complete"}}"#)),
            two
        );
    }

    #[test]
    fn control_messages_are_no_records() {
        let text = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","message":"anything"}]}"#;
        assert_eq!(lines(text), "");
        assert_eq!(
            lines(r#"{"logEvents":[{"message":"CWL CONTROL MESSAGE: Checking health."}]}"#),
            ""
        );
    }

    #[test]
    fn named_values_become_columns() {
        let text = r#"{"account_id":"1","srcaddr":"10.0.0.1","dstaddr":"192.0.2.1","bytes":7,"end":20,"start":null}"#;
        let out = read(text, 5, true);
        assert_eq!(out.formats(), ["account-id srcaddr dstaddr bytes start end"]);
        assert_eq!(out.text(), "1 10.0.0.1 192.0.2.1 7 - 20\n");
        assert!(!tells(
            br#"{"account-id":"1","srcaddr":"10.0.0.1","dst-addr":"x","log-status":"OK"}"#
        ));
        assert!(!tells(br#"{"type":"x","action":"y","bytes":1}"#), "some other log");
    }

    #[test]
    fn ocsf_is_read_by_its_paths() {
        let text = r#"{"class_uid":4001,"time":1700000000999,"cloud":{"region":"us-east-1","account":{"uid":"1"}},
            "src_endpoint":{"ip":"10.0.0.1","port":1,"interface_uid":"eni-1","subnet":{"ip":"9"}},
            "dst_endpoint":{"ip":"192.0.2.1","port":443},"traffic":{"bytes":7,"packets":1},"start_time":1700000000000,
            "end_time":1700000060000,"connection_info":{"protocol_num":6,"direction":"Outbound"},"action":"Allowed",
            "message":"a note","status_code":"OK"}"#;
        let out = read(text, 999_999, true);
        assert_eq!(
            out.text(),
            "1 eni-1 10.0.0.1 192.0.2.1 1 443 6 1 7 1700000000 1700000060 ACCEPT OK us-east-1 egress\n"
        );
        assert!(!tells(br#"{"class_uid":3002,"src_endpoint":{}}"#));
    }

    #[test]
    fn what_is_broken_costs_itself() {
        let good = format!(r#"{{"message":"{LINE}"}}"#);
        let text = format!("{good}\n{{\"message\" 1}}\n{{\"other\":1}}\n{good}\n{{\"message\":\"cut");
        let out = read(&text, 3, true);
        let expect = [LINE, r#"{"message" 1}"#, r#"{"other":1}"#, LINE, r#"{"message":"cut"#];
        assert_eq!(out.text().lines().collect::<Vec<_>>(), expect);
        assert_eq!(out.places().iter().map(|p| p.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(
            read(&text, 3, false).text().lines().count(),
            4,
            "after damage the open one is dropped"
        );
    }

    #[test]
    fn an_overlong_object_is_one_fault_and_its_neighbours_are_kept() {
        let good = format!(r#"{{"message":"{LINE}"}}"#);
        let long = format!(r#"{{"message":"{}}}{{\" "}}"#, "x".repeat(3 << 20));
        let out = read(&[good.as_str(), &long, &good].concat(), 1 << 20, true);
        assert_eq!(out.text().lines().count(), 3);
        assert!(out.text().ends_with(&format!("{LINE}\n")));
    }

    #[test]
    fn a_message_cannot_forge_a_second_record() {
        let text = format!(r#"{{"message":"{LINE}\n{LINE}\n"}}"#);
        assert_eq!(lines(&text), format!("{LINE} {LINE}\n"));
    }
}
