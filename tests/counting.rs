//! Every byte once: the vantage points that AWS's documentation shows, each with its counting decision.
//!
//! The lines follow the examples of "Flow log record examples" in the Amazon VPC user guide (NAT gateway, transit gateway,
//! traffic through S3), with byte counts where the guide leaves them out.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use flowtrail::aggregate::{Counting, Direction, Filter, Grain, Ingest, Progress, Role, vantage};
use flowtrail::intel::{Intel, IntelOptions};
use flowtrail::net::TimeWindow;
use flowtrail::scan::{self, Counted};
use std::sync::Arc;

/// Files by name.
fn count(files: &[(&str, &str)]) -> Counted {
    count_by(Grain::SCAN, files)
}

fn count_by(grain: Grain, files: &[(&str, &str)]) -> Counted {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let intel = Intel::load(&IntelOptions::default()).unwrap();
    let counting = Counting {
        grain,
        filter: Filter::default(),
        window: TimeWindow::ALL,
        largest: 0,
    };
    let (pool, none) = (scan::threads(2).unwrap(), Default::default());
    let follow = |_: &flowtrail::input::Archive| Arc::new(Progress::default());
    scan::count(
        &[dir.path().into()],
        &intel,
        &counting,
        &Ingest::default(),
        &none,
        &pool,
        &follow,
    )
    .unwrap()
}

/// Egress to the outside, middleboxes left out: interface, own side, peer, bytes.
fn egress(counted: &Counted) -> Vec<(String, String, String, u128)> {
    let boxes = vantage::decide(&counted.table, &|_| None).middleboxes;
    let table = &counted.table;
    let rows = table
        .rows
        .iter()
        .filter(|r| r.direction == Direction::Egress && table.peer(r).class.is_egress());
    let named = rows.map(|r| {
        let id = table.interfaces[r.interface as usize].id.clone();
        (id, r.local.to_string(), table.peer(r).addr.to_string(), r.volume.bytes)
    });
    named.filter(|(id, ..)| !boxes.contains_key(id)).collect()
}

const NAT_FIELDS: &str = "instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport protocol bytes packets start end action log-status\n";

fn line(instance: &str, eni: &str, addresses: &str, ports: &str, bytes: u64) -> String {
    format!("{instance} {eni} {addresses} {ports} 6 {bytes} 9 1700000000 1700000060 ACCEPT OK\n")
}

const NAT: &str = "eni-1235b8ca123456789";
const HOST: &str = "eni-1111aaaa2222bbbb3";
const INSTANCE: &str = "i-01234567890123456";

fn nat_gateway() -> String {
    [
        line(
            "-",
            NAT,
            "10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
            "39812 443",
            5_000_000,
        ),
        line(
            "-",
            NAT,
            "10.0.0.220 203.0.113.5 10.0.0.220 203.0.113.5",
            "1030 443",
            5_000_000,
        ),
        line(
            "-",
            NAT,
            "203.0.113.5 10.0.0.220 203.0.113.5 10.0.0.220",
            "443 1030",
            70_000,
        ),
        line(
            "-",
            NAT,
            "10.0.0.220 10.0.1.5 203.0.113.5 10.0.1.5",
            "443 39812",
            70_000,
        ),
    ]
    .concat()
}

fn host_behind_nat() -> String {
    line(
        INSTANCE,
        HOST,
        "10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5",
        "39812 443",
        5_000_000,
    ) + &line(
        INSTANCE,
        HOST,
        "203.0.113.5 10.0.1.5 203.0.113.5 10.0.1.5",
        "443 39812",
        70_000,
    )
}

#[test]
fn bytes_through_a_zonal_nat_gateway_count_at_the_instance() {
    let counted = count(&[("a.log", &(NAT_FIELDS.to_string() + &nat_gateway() + &host_behind_nat()))]);
    let host = (
        HOST.to_string(),
        "10.0.1.5".to_string(),
        "203.0.113.5".to_string(),
        5_000_000,
    );
    assert_eq!(egress(&counted), [host]);
    let v = vantage::decide(&counted.table, &|_| None);
    assert_eq!((v.middleboxes.len(), v.passed_on, v.residual), (1, 5_000_000, 0));
}

#[test]
fn a_nat_gateway_without_its_instances_counts_and_says_so() {
    let counted = count(&[("a.log", &(NAT_FIELDS.to_string() + &nat_gateway()))]);
    let v = vantage::decide(&counted.table, &|_| None);
    assert!(v.middleboxes.is_empty() && v.shared.contains_key(NAT));
    assert_eq!(
        egress(&counted).iter().map(|r| r.3).sum::<u128>(),
        5_000_000,
        "once, not for each of its lines"
    );
}

#[test]
fn a_regional_nat_gateway_is_known_by_its_resource_id() {
    let fields = "resource-id instance-id interface-id srcaddr dstaddr pkt-srcaddr pkt-dstaddr srcport dstport protocol bytes start end\n";
    let nat = |src: &str| {
        format!(
            "nat-1234567890abcdef - - {src} 203.0.113.5 {src} 203.0.113.5 39812 443 6 5000000 1700000000 1700000060\n"
        )
    };
    let host = format!(
        "- {INSTANCE} {HOST} 10.0.1.5 203.0.113.5 10.0.1.5 203.0.113.5 39812 443 6 5000000 1700000000 1700000060\n"
    );
    let counted = count(&[(
        "a.log",
        &[fields, &nat("10.0.1.5"), &nat("107.22.182.139"), &host].concat(),
    )]);
    assert_eq!(
        egress(&counted).iter().map(|r| (r.0.as_str(), r.3)).collect::<Vec<_>>(),
        [(HOST, 5_000_000)]
    );
}

#[test]
fn a_transit_gateway_attachment_passes_on_what_the_client_sent() {
    let client = line(
        "i-0c50d5961bcb2d47b",
        "eni-client",
        "10.20.33.164 203.0.113.9 10.20.33.164 203.0.113.9",
        "39812 80",
        3_000_000,
    );
    let attachment = line(
        "-",
        "eni-11111111111111111",
        "10.40.1.175 203.0.113.9 10.20.33.164 203.0.113.9",
        "39812 80",
        3_000_000,
    );
    let counted = count(&[("a.log", &(NAT_FIELDS.to_string() + &client + &attachment))]);
    assert_eq!(
        egress(&counted).iter().map(|r| (r.0.as_str(), r.3)).collect::<Vec<_>>(),
        [("eni-client", 3_000_000)]
    );
    assert_eq!(counted.left_out.forwarded, 3_000_000);
}

#[test]
fn pods_and_secondary_addresses_stay_with_their_node() {
    let node = line(
        "i-0aaa",
        "eni-node",
        "10.0.5.1 203.0.113.9 10.0.5.77 203.0.113.9",
        "39812 443",
        800,
    ) + &line(
        "i-0aaa",
        "eni-node",
        "10.0.5.1 203.0.113.9 10.0.5.1 203.0.113.9",
        "39813 443",
        200,
    );
    let counted = count(&[("a.log", &(NAT_FIELDS.to_string() + &node))]);
    let sides: Vec<_> = egress(&counted).into_iter().map(|r| (r.1, r.3)).collect();
    assert_eq!(sides, [("10.0.5.1".to_string(), 200), ("10.0.5.77".to_string(), 800)]);
}

#[test]
fn a_download_from_s3_is_ingress_and_its_acknowledgements_egress() {
    let fields = "version srcaddr dstaddr srcport dstport protocol start end type packets bytes account-id vpc-id subnet-id instance-id \
interface-id region az-id sublocation-type sublocation-id action tcp-flags pkt-srcaddr pkt-dstaddr pkt-src-aws-service \
pkt-dst-aws-service traffic-path flow-direction log-status\n";
    let about = "123456789012 vpc-1 subnet-1 i-0c50d5961bcb2d47b eni-1235b8ca123456789 ap-southeast-2 apse2-az3 - -";
    let text = format!(
        "{fields}5 52.95.128.179 10.0.0.71 80 34210 6 1616729292 1616729349 IPv4 14 15044 {about} ACCEPT 19 52.95.128.179 10.0.0.71 S3 - - ingress OK\n\
         5 10.0.0.71 52.95.128.179 34210 80 6 1616729292 1616729349 IPv4 7 471 {about} ACCEPT 3 10.0.0.71 52.95.128.179 - S3 8 egress OK\n"
    );
    let counted = count(&[("a.log", &text)]);
    let table = &counted.table;
    let told = |r: &flowtrail::aggregate::Row| {
        let class = table.peer(r).class.as_str();
        (r.direction, r.role, r.port, class, r.volume.bytes)
    };
    let mut rows: Vec<_> = table.rows.iter().map(told).collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            (Direction::Egress, Role::Client, 80, "s3", 471),
            (Direction::Ingress, Role::Client, 80, "s3", 15_044)
        ]
    );
}

#[test]
fn two_flow_logs_on_one_interface_count_once() {
    let v2 = |bytes: u64, start: u64, end: u64| {
        format!("2 1 eni-1 10.0.0.1 192.0.2.9 40000 443 6 1 {bytes} {start} {end} ACCEPT OK\n")
    };
    let minute: String = (0..10)
        .map(|i| v2(100, 1_700_000_000 + i * 60, 1_700_000_060 + i * 60))
        .collect();
    let ten = v2(1_000, 1_700_000_000, 1_700_000_600);
    let name = |log: &str| format!("123456789010_vpcflowlogs_us-east-1_{log}_20231114T2215Z_0123abcd.log");
    let counted = count(&[
        (&name("fl-0a1b2c3d4e5f60718"), &minute),
        (&name("fl-0b1b2c3d4e5f60718"), &ten),
    ]);
    assert_eq!(egress(&counted).iter().map(|r| r.3).sum::<u128>(), 1_000);
    assert_eq!(counted.left_out.logged_twice, 1_000);
}

#[test]
fn replies_to_visitors_are_served_not_sent() {
    let text = "2 1 eni-1 10.0.0.1 192.0.2.9 443 40000 6 1 900 1700000000 1700000060 ACCEPT OK\n\
                2 1 eni-1 10.0.0.1 192.0.2.9 40000 443 6 1 50 1700000000 1700000060 ACCEPT OK\n";
    let counted = count(&[("a.log", text)]);
    let roles: Vec<_> = counted.table.rows.iter().map(|r| (r.role, r.volume.bytes)).collect();
    assert_eq!(roles, [(Role::Client, 50), (Role::Server, 900)]);
}

#[test]
fn an_ipv6_interface_learns_its_own_address() {
    let flow = |i: u32, out: bool| {
        let (own, far) = ("2001:db8::7".to_string(), format!("2600::{i}"));
        let (s, d) = if out { (&own, &far) } else { (&far, &own) };
        let ports = if out { "40000 443" } else { "443 40000" };
        format!(
            "2 1 eni-6 {s} {d} {ports} 6 1 {} 1700000000 1700000060 ACCEPT OK\n",
            if out { 100 } else { 7 }
        )
    };
    let text: String = (1..15).flat_map(|i| [flow(i, true), flow(i, false)]).collect();
    let counted = count(&[("a.log", &text)]);
    assert_eq!(egress(&counted).iter().map(|r| r.3).sum::<u128>(), 1_400);
    assert_eq!(counted.left_out.ambiguous, 0);
}

#[test]
fn files_with_and_without_a_name_of_aws_all_count_where_interfaces_are_not_told_apart() {
    let line =
        |eni: &str| format!("2 1 {eni} 10.0.0.5 203.0.113.9 40000 443 6 9 1000 1700000000 1700000060 ACCEPT OK\n");
    let files = [
        (
            "111111111111_vpcflowlogs_us-east-1_fl-01_20231114T2210Z_0000000a.log",
            line("eni-a"),
        ),
        ("odd.log", line("eni-b")),
    ];
    let grain = Grain {
        peer: true,
        ..Grain::TOTAL
    };
    let counted = count_by(grain, &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let bytes: u128 = counted.table.rows.iter().map(|r| r.volume.bytes).sum();
    assert_eq!((bytes, counted.left_out.logged_twice), (2_000, 0));
}
