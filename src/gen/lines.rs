//! A record as a line of text: the default format, or one with every field of versions 2 to 5.
//!
//! Field order and spellings are those of AWS's "Flow log records" page. `-` stands where a field does not apply.

use std::fmt::Write as _;

use super::Format;
use super::flows::{Flow, Status, is_s3};
use super::world::{ACCOUNT, REGION, World};
use crate::net::Addr;

const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                  log-status";
const V5: &str = " vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type \
                  sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path";

/// The header line, without its end.
pub(super) fn header(format: Format) -> String {
    match format {
        Format::V2 => V2.to_owned(),
        Format::V5 => format!("{V2}{V5}"),
    }
}

/// Adds the record's line, with its end.
pub(super) fn push(out: &mut String, world: &World, format: Format, flow: &Flow) {
    push_v2(out, world, format, flow);
    if format == Format::V5 {
        push_v5(out, world, flow);
    }
    out.push('\n');
}

/// A string cannot fail to be written to, so the results of `write!` carry nothing.
fn push_v2(out: &mut String, world: &World, format: Format, f: &Flow) {
    let version = if format == Format::V2 { 2 } else { 5 };
    let (eni, status) = (&world.hosts[f.host].eni, status(f.status));
    if is_empty(f) {
        let _ = write!(
            out,
            "{version} {ACCOUNT} {eni} - - - - - - - {} {} - {status}",
            f.start, f.end
        );
        return;
    }
    let action = if f.status == Status::Reject { "REJECT" } else { "ACCEPT" };
    let _ = write!(
        out,
        "{version} {ACCOUNT} {eni} {} {} {} {} ",
        f.src, f.dst, f.sport, f.dport
    );
    let _ = write!(
        out,
        "{} {} {} {} {} {action} {status}",
        f.protocol, f.packets, f.bytes, f.start, f.end
    );
}

fn push_v5(out: &mut String, world: &World, f: &Flow) {
    let host = &world.hosts[f.host];
    let (subnet, instance) = (&world.subnets[host.subnet], host.instance.as_deref().unwrap_or("-"));
    let _ = write!(out, " {} {subnet} {instance} ", world.vpc);
    let zone = format!("{REGION} use1-az1 - -");
    if is_empty(f) {
        let _ = write!(out, "- - - - {zone} - - - -");
        return;
    }
    let family = if f.src.is_v4() { "IPv4" } else { "IPv6" };
    let direction = if f.egress { "egress" } else { "ingress" };
    let _ = write!(out, "{} {family} {} {} {zone} ", f.flags, f.pkt_src, f.pkt_dst);
    let _ = write!(
        out,
        "{} {} {direction} {}",
        service(f.pkt_src),
        service(f.pkt_dst),
        path(f.path)
    );
}

fn is_empty(f: &Flow) -> bool {
    matches!(f.status, Status::NoData | Status::SkipData)
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Accept | Status::Reject => "OK",
        Status::NoData => "NODATA",
        Status::SkipData => "SKIPDATA",
    }
}

fn path(path: u8) -> &'static str {
    match path {
        1 => "1",
        7 => "7",
        8 => "8",
        _ => "-",
    }
}

fn service(addr: Addr) -> &'static str {
    let ec2 = addr.as_v4().is_some_and(|n| n >> 17 == (54 << 8 | 208) >> 1);
    match addr {
        a if is_s3(a) => "S3",
        _ if ec2 => "EC2",
        _ => "-",
    }
}
