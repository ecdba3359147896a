//! How others spell AWS's fields: `account_id` (Parquet, Athena), `accountId` and `startTime` (Logs Insights), and OCSF's
//! paths (Security Lake).
//!
//! Sources: "CREATE TABLE for VPC flow logs" (Athena user guide), "Supported logs and discovered fields" (CloudWatch Logs
//! user guide), OCSF 1.1 Network Activity (4001) and the mapping of VPC flow logs in Security Lake's source version 2.

use crate::flow::{FIELDS, Field};
use crate::net::parse_rfc3339;
use std::io::Write;

/// What must be done to a foreign value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing.
    Plain,
    /// A time in seconds, milliseconds or as RFC 3339 becomes seconds.
    Time,
    /// 1, `Inbound` and 2, `Outbound` become `ingress` and `egress`.
    Direction,
    /// 1, `Allowed` and 2, `Denied`, `Blocked` become `ACCEPT` and `REJECT`.
    Verdict,
}

/// Where a value stands, whose it is and how it is read.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Path, its parts joined by dots.
    pub path: &'static str,
    /// AWS's field.
    pub field: Field,
    /// What must be done to it.
    pub reading: Reading,
}

const fn plain(path: &'static str, field: Field) -> Rule {
    rule(path, field, Reading::Plain)
}

const fn rule(path: &'static str, field: Field, reading: Reading) -> Rule {
    Rule { path, field, reading }
}

/// OCSF Network Activity. Of several paths of one field the first that has a value counts.
pub const OCSF: &[Rule] = &[
    plain("cloud.account.uid", Field::AccountId),
    plain("cloud.account_uid", Field::AccountId),
    plain("src_endpoint.interface_uid", Field::InterfaceId),
    plain("dst_endpoint.interface_uid", Field::InterfaceId),
    plain("src_endpoint.ip", Field::SrcAddr),
    plain("dst_endpoint.ip", Field::DstAddr),
    plain("src_endpoint.port", Field::SrcPort),
    plain("dst_endpoint.port", Field::DstPort),
    plain("connection_info.protocol_num", Field::Protocol),
    plain("traffic.packets", Field::Packets),
    plain("traffic.bytes", Field::Bytes),
    rule("start_time", Field::Start, Reading::Time),
    rule("time", Field::Start, Reading::Time),
    rule("end_time", Field::End, Reading::Time),
    rule("time", Field::End, Reading::Time),
    rule("action_id", Field::Action, Reading::Verdict),
    rule("disposition_id", Field::Action, Reading::Verdict),
    rule("action", Field::Action, Reading::Verdict),
    rule("disposition", Field::Action, Reading::Verdict),
    plain("status_code", Field::LogStatus),
    plain("src_endpoint.vpc_uid", Field::VpcId),
    plain("dst_endpoint.vpc_uid", Field::VpcId),
    plain("src_endpoint.subnet_uid", Field::SubnetId),
    plain("dst_endpoint.subnet_uid", Field::SubnetId),
    plain("src_endpoint.instance_uid", Field::InstanceId),
    plain("dst_endpoint.instance_uid", Field::InstanceId),
    plain("connection_info.tcp_flags", Field::TcpFlags),
    plain("cloud.region", Field::Region),
    plain("cloud.zone", Field::AzId),
    plain("src_endpoint.svc_name", Field::PktSrcAwsService),
    plain("dst_endpoint.svc_name", Field::PktDstAwsService),
    rule("connection_info.direction_id", Field::FlowDirection, Reading::Direction),
    rule("connection_info.direction", Field::FlowDirection, Reading::Direction),
    plain("connection_info.boundary_id", Field::TrafficPath),
];

/// The class that OCSF gives to network activity.
pub const OCSF_CLASS: &[u8] = b"4001";

/// The field that a name means, in any of the spellings but AWS's own with hyphens.
pub fn field_of(name: &[u8]) -> Option<Field> {
    const OTHER: &[(&[u8], Field)] = &[(b"starttime", Field::Start), (b"endtime", Field::End)];
    const LONGEST: usize = 32;
    if name.len() > LONGEST || name.contains(&b'-') {
        return None;
    }
    let bare: Vec<u8> = name
        .iter()
        .filter(|b| **b != b'_')
        .map(u8::to_ascii_lowercase)
        .collect();
    let same = |f: &str| f.bytes().filter(|b| *b != b'-').eq(bare.iter().copied());
    let found = FIELDS.iter().find(|f| same(f.name)).map(|f| f.field);
    found.or_else(|| OTHER.iter().find(|(n, _)| *n == bare).map(|(_, f)| *f))
}

/// True if columns so named are flow log records: three of them at least are fields, and one names an end of the flow.
pub fn are_records(fields: impl IntoIterator<Item = Field>) -> bool {
    let fields: Vec<Field> = fields.into_iter().collect();
    let ends = [
        Field::SrcAddr,
        Field::DstAddr,
        Field::InterfaceId,
        Field::TgwId,
        Field::ResourceId,
    ];
    fields.len() >= 3 && fields.iter().any(|f| ends.contains(f))
}

impl Reading {
    /// Writes `value` as AWS's own text has it: one token, `-` for nothing. Bytes that would end a token are escaped.
    pub fn token(self, value: &[u8], into: &mut Vec<u8>) {
        match (self, value) {
            (_, b"" | b"-" | b"None" | b"null") => into.push(b'-'),
            (Reading::Plain, _) => escape(value, into),
            (Reading::Time, _) => match seconds(value) {
                Some(t) => drop(write!(into, "{t}")),
                None => escape(value, into),
            },
            (Reading::Direction, b"1" | b"Inbound" | b"ingress") => into.extend_from_slice(b"ingress"),
            (Reading::Direction, b"2" | b"Outbound" | b"egress") => into.extend_from_slice(b"egress"),
            (Reading::Verdict, b"1" | b"Allowed" | b"ACCEPT") => into.extend_from_slice(b"ACCEPT"),
            (Reading::Verdict, b"2" | b"Denied" | b"Blocked" | b"REJECT") => into.extend_from_slice(b"REJECT"),
            (Reading::Direction | Reading::Verdict, _) => into.push(b'-'),
        }
    }
}

/// Seconds since the epoch of a number of seconds or milliseconds, or of RFC 3339.
fn seconds(value: &[u8]) -> Option<u64> {
    /// No flow was logged in the year 5138, so a larger number is of milliseconds.
    const MILLIS_FROM: u64 = 100_000_000_000;
    let text = std::str::from_utf8(value).ok()?;
    match text.parse::<u64>() {
        Ok(n) if n >= MILLIS_FROM => Some(n / 1_000),
        Ok(n) => Some(n),
        Err(_) => parse_rfc3339(text),
    }
}

fn escape(value: &[u8], into: &mut Vec<u8>) {
    for b in value {
        if *b <= b' ' || *b == 0x7f {
            let _ = write!(into, "%{b:02X}");
        } else {
            into.push(*b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_known_by_its_other_spellings() {
        for f in FIELDS {
            let underscores = f.name.replace('-', "_");
            assert_eq!(field_of(underscores.as_bytes()), Some(f.field));
            let mut camel = String::new();
            for part in f.name.split('-') {
                let upper = part[..1].to_uppercase() + &part[1..];
                camel += if camel.is_empty() { part } else { &upper };
            }
            assert_eq!(field_of(camel.as_bytes()), Some(f.field));
        }
        assert_eq!(
            field_of(b"account-id"),
            None,
            "AWS's own spelling stands in headers only"
        );
        assert_eq!(field_of(b"startTime"), Some(Field::Start));
    }

    fn token(reading: Reading, value: &str) -> String {
        let mut out = Vec::new();
        reading.token(value.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_is_always_one_token() {
        assert_eq!(token(Reading::Plain, "two words\nOK"), "two%20words%0AOK");
        for nothing in ["", "-", "None"] {
            assert_eq!(token(Reading::Plain, nothing), "-");
        }
        assert_eq!(token(Reading::Time, "1700000000123"), "1700000000");
        assert_eq!(token(Reading::Time, "2023-11-14T22:13:20Z"), "1700000000");
        assert_eq!(token(Reading::Time, "soon"), "soon", "a fault, to be named as such");
        assert_eq!(token(Reading::Verdict, "2"), "REJECT");
        assert_eq!(token(Reading::Direction, "Outbound"), "egress");
    }
}
