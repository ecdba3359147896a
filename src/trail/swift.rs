//! The usual record, read without a JSON library: nearly all records are compact, without escapes in what is used, and have
//! every field in its usual type.
//!
//! Every byte is still looked at and every rule of JSON kept: whatever is unusual (an escape, a number where text
//! belongs, a field that stands there twice, a depth that nobody writes) gives up, and the patient way decides. So this
//! never accepts what that would not, and decodes to the same; tests hold the two against each other.

use std::borrow::Cow;

use super::event::{Additional, RawResource, Record, Request};
use super::identity::{Issuer, RawIdentity, Scope, SessionContext};
use super::json::{Amount, Flag, List, MOST_ITEMS, Object, Part, Strict, Text};

/// The record that begins at `at` of a text, and the position after it; nothing if it is not a usual one.
pub(super) fn record(text: &str, at: usize) -> Option<(Record<'_>, usize)> {
    let mut cursor = Cursor { text, at };
    let record = cursor.record()?;
    Some((record, cursor.at))
}

/// Deeper nesting is not usual.
const DEEPEST: u8 = 24;

/// A place in a text. What returns nothing has met something unusual; the place then means nothing any more.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Which members were met: each may stand there once.
#[derive(Default)]
struct Met(u32);

impl Met {
    fn once(&mut self, bit: u32) -> Option<()> {
        let fresh = self.0 & 1 << bit == 0;
        self.0 |= 1 << bit;
        fresh.then_some(())
    }
}

/// Reads a member into its place, unless one was read before.
macro_rules! member {
    ($met:ident, $bit:literal, $place:expr, $value:expr) => {{
        $met.once($bit)?;
        $place = $value;
    }};
}

impl<'a> Cursor<'a> {
    fn record(&mut self) -> Option<Record<'a>> {
        let mut r = Record::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "eventTime" | "eventtime" => member!(met, 0, r.event_time, c.strict()?),
                "eventSource" | "eventsource" => member!(met, 1, r.event_source, c.strict()?),
                "eventName" | "eventname" => member!(met, 2, r.event_name, c.strict()?),
                "eventID" | "eventid" => member!(met, 3, r.event_id, c.strict()?),
                "awsRegion" | "awsregion" => member!(met, 4, r.aws_region, c.strict()?),
                "recipientAccountId" | "recipientaccountid" => {
                    member!(met, 5, r.recipient_account_id, c.strict()?);
                }
                "sourceIPAddress" | "sourceipaddress" => member!(met, 6, r.source_ip, c.strict()?),
                "userAgent" | "useragent" => member!(met, 7, r.user_agent, c.strict()?),
                "errorCode" | "errorcode" => member!(met, 8, r.error_code, c.strict()?),
                "errorMessage" | "errormessage" => member!(met, 9, r.error_message, c.strict()?),
                "userIdentity" | "useridentity" => member!(met, 10, r.user_identity, Object(c.identity()?)),
                "@timestamp" => member!(met, 11, r.timestamp, c.string_or_null()?),
                "vpcEndpointId" | "vpcendpointid" => member!(met, 12, r.vpc_endpoint_id, c.string_or_null()?),
                "vpcEndpointAccountId" | "vpcendpointaccountid" => {
                    member!(met, 13, r.vpc_endpoint_account_id, c.string_or_null()?);
                }
                "readOnly" | "readonly" => member!(met, 14, r.read_only, c.flag()?),
                "managementEvent" | "managementevent" => member!(met, 15, r.management_event, c.flag()?),
                "eventCategory" | "eventcategory" => member!(met, 16, r.event_category, c.string_or_null()?),
                "eventType" | "eventtype" => member!(met, 17, r.event_type, c.string_or_null()?),
                "requestParameters" | "requestparameters" => {
                    member!(met, 18, r.request_parameters, c.part(Cursor::request)?);
                }
                "responseElements" | "responseelements" => {
                    met.once(19)?;
                    c.response()?;
                }
                "additionalEventData" | "additionaleventdata" => {
                    member!(met, 20, r.additional_event_data, c.part(Cursor::additional)?);
                }
                "resources" => member!(met, 21, r.resources, c.resources()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(r)
    }

    fn identity(&mut self) -> Option<Option<RawIdentity<'a>>> {
        if self.null()? {
            return Some(None);
        }
        let mut i = RawIdentity::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "type" => member!(met, 0, i.kind, c.string_or_null()?),
                "arn" => member!(met, 1, i.arn, c.string_or_null()?),
                "principalId" | "principalid" => member!(met, 2, i.principal_id, c.string_or_null()?),
                "accountId" | "accountid" => member!(met, 3, i.account_id, c.string_or_null()?),
                "accessKeyId" | "accesskeyid" => member!(met, 4, i.access_key_id, c.string_or_null()?),
                "userName" | "username" => member!(met, 5, i.user_name, c.string_or_null()?),
                "invokedBy" | "invokedby" => member!(met, 6, i.invoked_by, c.string_or_null()?),
                "sessionContext" | "sessioncontext" => member!(met, 7, i.session_context, c.part(Cursor::session)?),
                "inScopeOf" => member!(met, 8, i.in_scope_of, c.part(Cursor::scope)?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(Some(i))
    }

    fn session(&mut self) -> Option<SessionContext<'a>> {
        let mut s = SessionContext::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "sessionIssuer" | "sessionissuer" => member!(met, 0, s.session_issuer, c.part(Cursor::issuer)?),
                "ec2RoleDelivery" | "ec2roledelivery" => member!(met, 1, s.ec2_role_delivery, c.string_or_null()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(s)
    }

    fn issuer(&mut self) -> Option<Issuer<'a>> {
        let mut i = Issuer::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "type" => member!(met, 0, i.kind, c.string_or_null()?),
                "arn" => member!(met, 1, i.arn, c.string_or_null()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(i)
    }

    fn scope(&mut self) -> Option<Scope<'a>> {
        let mut s = Scope::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "credentialsIssuedTo" => member!(met, 0, s.credentials_issued_to, c.string_or_null()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(s)
    }

    fn request(&mut self) -> Option<Request<'a>> {
        let mut r = Request::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "bucketName" | "bucketname" => member!(met, 0, r.bucket_name, c.string_or_null()?),
                "key" => member!(met, 1, r.key, c.string_or_null()?),
                "x-amz-copy-source" => member!(met, 2, r.copy_source, c.string_or_null()?),
                "roleArn" => member!(met, 3, r.role_arn, c.string_or_null()?),
                "roleSessionName" => member!(met, 4, r.role_session_name, c.string_or_null()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(r)
    }

    /// Answers that hand out credentials are rare, and read the patient way.
    fn response(&mut self) -> Option<()> {
        if self.null()? {
            return Some(());
        }
        self.object(&mut |c, key| match key {
            "credentials" | "accessKey" | "assumedRoleUser" => None,
            _ => c.skip(DEEPEST),
        })
    }

    fn additional(&mut self) -> Option<Additional<'a>> {
        let mut a = Additional::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "bytesTransferredIn" | "bytestransferredin" => member!(met, 0, a.bytes_in, c.amount()?),
                "bytesTransferredOut" | "bytestransferredout" => member!(met, 1, a.bytes_out, c.amount()?),
                "SignatureVersion" => member!(met, 2, a.signature_version, c.string_or_null()?),
                "AuthenticationMethod" => member!(met, 3, a.authentication, c.string_or_null()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(a)
    }

    fn resources(&mut self) -> Option<List<RawResource<'a>>> {
        let mut list = List::default();
        if self.null()? {
            return Some(list);
        }
        self.array(&mut |c| {
            let item = c.resource()?;
            (list.items.len() < MOST_ITEMS).then(|| list.items.push(item))
        })?;
        Some(list)
    }

    fn resource(&mut self) -> Option<RawResource<'a>> {
        let mut r = RawResource::default();
        let mut met = Met::default();
        self.object(&mut |c, key| {
            match key {
                "ARN" | "arn" => member!(met, 0, r.arn, c.string_or_null()?),
                "ARNPrefix" => member!(met, 1, r.prefix, c.string_or_null()?),
                "accountId" | "accountid" => member!(met, 2, r.account, c.string_or_null()?),
                _ => c.skip(DEEPEST)?,
            }
            Some(())
        })?;
        Some(r)
    }

    /// An object or null.
    fn part<T: Default>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Part<T>> {
        let value = if self.null()? { T::default() } else { read(self)? };
        Some(Part { value, packed: false })
    }
}

/// The grammar of JSON, as far as it is usual.
impl<'a> Cursor<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        let there = self.byte()? == byte;
        self.at += 1;
        there.then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let there = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        there.then_some(())
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let from = self.at;
        let rest = self.text.as_bytes().get(from..)?;
        let mut n = 0;
        let mut words = rest.chunks_exact(8);
        let hit = words.by_ref().find_map(|word| {
            let marks = ends(u64::from_le_bytes(word.try_into().unwrap_or_default()));
            n += 8;
            (marks != 0).then(|| n - 8 + marks.trailing_zeros() as usize / 8)
        });
        let in_tail = || n + words.remainder().iter().take_while(|b| !is_end(**b)).count();
        let to = from + hit.unwrap_or_else(in_tail);
        self.at = to;
        self.eat(b'"')?;
        self.text.get(from..to)
    }

    fn object(&mut self, member: &mut impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.eat(b'{')?;
        self.space();
        if self.byte()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.string()?;
            self.space();
            self.eat(b':')?;
            self.space();
            member(self, key)?;
            if self.is_last(b'}')? {
                return Some(());
            }
        }
    }

    fn array(&mut self, item: &mut impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.eat(b'[')?;
        self.space();
        if self.byte()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            if self.is_last(b']')? {
                return Some(());
            }
        }
    }

    /// After a value: true at the closing bracket, false at a comma, and nothing at anything else.
    fn is_last(&mut self, close: u8) -> Option<bool> {
        self.space();
        let byte = self.byte()?;
        self.at += 1;
        if byte == close {
            return Some(true);
        }
        self.space();
        (byte == b',').then_some(false)
    }

    /// Passes over a value.
    fn skip(&mut self, deep: u8) -> Option<()> {
        match self.byte()? {
            b'"' => self.string().map(|_| ()),
            b'{' => {
                let within = deep.checked_sub(1)?;
                self.object(&mut |c, _| c.skip(within))
            }
            b'[' => {
                let within = deep.checked_sub(1)?;
                self.array(&mut |c| c.skip(within))
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number().map(|_| ()),
        }
    }

    /// A number without sign, exponent or leading zeros: its whole part, and whether a fraction other than 0 follows.
    fn number(&mut self) -> Option<(&'a str, bool)> {
        let (from, digits) = (self.at, self.digits()?);
        if digits == 0 || digits > 1 && self.text.as_bytes().get(from) == Some(&b'0') {
            return None;
        }
        let whole = self.text.get(from..self.at)?;
        let mut odd = false;
        if self.byte() == Some(b'.') {
            self.at += 1;
            let from = self.at;
            if self.digits()? == 0 {
                return None;
            }
            odd = self.text.get(from..self.at)?.bytes().any(|b| b != b'0');
        }
        let ends = self
            .byte()
            .is_none_or(|b| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace());
        ends.then_some((whole, odd))
    }

    fn digits(&mut self) -> Option<usize> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let n = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += n;
        Some(n)
    }

    /// True, and passed over, if `null` stands here.
    fn null(&mut self) -> Option<bool> {
        match self.byte()? {
            b'n' => self.word("null").map(|()| true),
            _ => Some(false),
        }
    }

    fn strict(&mut self) -> Option<Strict<'a>> {
        Some(Strict(self.string_or_null()?.0))
    }

    fn string_or_null(&mut self) -> Option<Text<'a>> {
        if self.null()? {
            return Some(Text(None));
        }
        self.string().map(|s| Text(Some(Cow::Borrowed(s))))
    }

    fn flag(&mut self) -> Option<Flag> {
        match self.byte()? {
            b't' => self.word("true").map(|()| Flag(Some(true))),
            b'f' => self.word("false").map(|()| Flag(Some(false))),
            _ => None,
        }
    }

    /// A count that every form of a number keeps exact.
    fn amount(&mut self) -> Option<Amount> {
        const EXACT: u64 = 1 << 53;
        let (whole, odd) = self.number()?;
        let n: u64 = whole.parse().ok().filter(|n| *n <= EXACT)?;
        (!odd).then_some(Amount(Some(n)))
    }
}

/// A quote, a backslash, or a control character, which JSON forbids in strings.
fn is_end(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// The same of eight bytes at once: the lowest marked bit lies in the first such byte. Marks above it may be wrong, since
/// borrows run upwards; bytes of other alphabets (0x80 and above) are never marked.
fn ends(word: u64) -> u64 {
    const LOW: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = LOW << 7;
    let zero = |x: u64| x.wrapping_sub(LOW) & !x;
    let of = |byte: u8| zero(word ^ LOW.wrapping_mul(byte.into()));
    (of(b'"') | of(b'\\') | word.wrapping_sub(LOW * 0x20) & !word) & HIGH
}

#[cfg(test)]
mod tests {
    use super::super::read::decode_prefix;
    use super::*;
    use proptest::prelude::*;

    const USUAL: &str = r#"{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROA1:i-1","arn":"arn:aws:sts::1:assumed-role/a/i-1",
 "accountId":"1","accessKeyId":"ASIA1","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::1:role/a"},"attributes":{"mfaAuthenticated":"false"},
 "ec2RoleDelivery":"2.0"},"inScopeOf":{"credentialsIssuedTo":"x"}},"eventTime":"2026-03-02T00:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject",
 "awsRegion":"us-east-1","sourceIPAddress":"10.0.0.1","userAgent":"[ü]","errorCode":null,"requestParameters":{"bucketName":"b","key":"k","Host":["h",1.5]},
 "responseElements":{"x-amz":"y"},"additionalEventData":{"bytesTransferredIn":0.0,"bytesTransferredOut":12,"AuthenticationMethod":"AuthHeader"},
 "resources":[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::b/k"},{"accountId":"1","ARN":"arn:aws:s3:::b"}],"readOnly":true,"managementEvent":false,
 "recipientAccountId":"1","eventCategory":"Data","x":[{},[],[true,null,{"y":0}]]} tail"#;

    #[test]
    fn the_usual_record_takes_this_way() {
        let (record, end) = record(USUAL, 0).unwrap();
        assert_eq!(&USUAL[end..], " tail");
        assert_eq!(Some(record), decode_prefix(USUAL).map(|(r, _)| r));
    }

    /// If this way decodes, the patient one decodes to the same.
    fn agrees(text: &str) -> bool {
        let swift = record(text, 0);
        let patient = || decode_prefix(text).map(|(r, raw)| (r, raw.len()));
        swift.is_none() || swift == patient()
    }

    #[test]
    fn what_is_not_json_or_not_usual_is_left_to_the_patient_way() {
        for text in [
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":-}"#,
            r#"{"a":tru}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            r#"{"a" 1}"#,
            r#"{,}"#,
            r#"{"a":1 2}"#,
            r#"{"a":"\x"}"#,
            "{\"a\":\"new\nline\"}",
            r#"{"eventTime":1}"#,
            r#"{"eventTime":"x","eventtime":"y"}"#,
            r#"{"requestParameters":"{}"}"#,
            r#"{"additionalEventData":{"bytesTransferredIn":1e999}}"#,
            r#"{"responseElements":{"credentials":{"accessKeyId":"ASIA"}}}"#,
        ] {
            assert!(record(text, 0).is_none(), "{text}");
        }
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        assert!(record(&deep, 0).is_none());
    }

    proptest! {
        #[test]
        fn eight_bytes_at_once_end_where_one_by_one_does(bytes in any::<[u8; 8]>()) {
            let marks = ends(u64::from_le_bytes(bytes));
            let first = (marks != 0).then(|| marks.trailing_zeros() as usize / 8);
            prop_assert_eq!(first, bytes.iter().position(|b| is_end(*b)));
        }

        #[test]
        fn a_changed_byte_or_two_never_makes_the_ways_differ(
            changes in proptest::collection::vec((0usize..USUAL.len(), "[ -~\n]{0,3}"), 1..3)
        ) {
            let mut bytes = USUAL.as_bytes().to_vec();
            for (at, text) in changes {
                let at = at.min(bytes.len());
                let to = (at + 1).min(bytes.len());
                bytes.splice(at..to, text.into_bytes());
            }
            if let Ok(text) = std::str::from_utf8(&bytes) {
                prop_assert!(agrees(text));
            }
        }

        #[test]
        fn cut_records_never_make_the_ways_differ(at in 0usize..USUAL.len()) {
            prop_assert!(USUAL.get(..at).is_none_or(agrees));
        }
    }
}
