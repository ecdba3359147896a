//! The account's furniture: who exists, where it sits, what it is called.
//!
//! One VPC in us-east-1 with a load balancer, web and app servers, batch hosts, EKS nodes with pods, a database, a NAT
//! gateway, an interface endpoint, a bastion, a dual-stack host and a standby that never speaks. Identifiers derive from
//! the seed, one label each, so that scale and options never rename anybody. Account numbers are those of AWS's own
//! documentation; external addresses are documentation ranges, published AWS prefixes, and a few whose country matters.

use super::rng::Rng;
use super::{Options, Scale};
use crate::net::{Addr, Seconds};

/// The account (an example number of AWS's documentation).
pub(super) const ACCOUNT: &str = "111122223333";
/// Somebody else's account: where the foreign bucket lives.
pub(super) const FOREIGN_ACCOUNT: &str = "444455556666";
/// The only region.
pub(super) const REGION: &str = "us-east-1";
/// Where the developer works: the PEERING research testbed's prefix (US), which hosts nobody.
pub(super) const OFFICE: Addr = v4(184, 164, 242, 10);
/// A Tor exit of SEED's `185.x.x.x` (DE).
pub(super) const TOR_EXIT: Addr = v4(185, 220, 101, 34);
/// The directory authority gabelmoo (DE), whose address is published in Tor's source.
pub(super) const TOR_AUTHORITY: Addr = v4(131, 188, 40, 189);
/// The host that receives the upload: in a routing beacon of RIPE NCC (NL), which hosts nobody.
pub(super) const DROP_HOST: Addr = v4(93, 175, 146, 77);
/// The host on the threat list: in the PEERING testbed (US).
pub(super) const THREAT_HOST: Addr = v4(184, 164, 240, 66);
/// The partner who gets a weekly export.
pub(super) const PARTNER: Addr = v4(198, 51, 100, 40);

/// An IPv4 address from its four numbers.
pub(super) const fn v4(a: u32, b: u32, c: u32, d: u32) -> Addr {
    Addr::v4(a << 24 | b << 16 | c << 8 | d)
}

/// What an interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Alb,
    Web,
    App,
    Batch,
    Node,
    Db,
    Nat,
    Endpoint,
    Bastion,
    Dual,
    Report,
    Idle,
}

/// One network interface.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) eni: String,
    pub(super) instance: Option<String>,
    pub(super) addr: Addr,
    /// Its IPv6 address.
    pub(super) addr6: Option<Addr>,
    /// Secondary addresses: pods.
    pub(super) pods: Vec<Addr>,
    /// Its Elastic IP.
    pub(super) public: Option<Addr>,
    pub(super) subnet: usize,
    /// Name of its IAM role.
    pub(super) iam: Option<&'static str>,
    /// Seconds after the start of the archive at which its credentials are renewed, every six hours.
    pub(super) renewal: Seconds,
}

/// A bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) account: &'static str,
    /// How its object keys begin.
    pub(super) folder: &'static str,
}

/// Everything that exists.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) seed: u64,
    /// First second.
    pub(super) start: Seconds,
    pub(super) days: u64,
    pub(super) small: bool,
    pub(super) hosts: Vec<Host>,
    pub(super) subnets: Vec<String>,
    pub(super) vpc: String,
    /// The S3 gateway endpoint.
    pub(super) gateway: String,
    pub(super) nat_gateway: String,
    pub(super) flow_log: String,
    pub(super) buckets: Vec<Bucket>,
}

/// Role, name, how many (whole account, small one), third octet of the subnet, IAM role.
type Kind = (Role, &'static str, usize, usize, u32, Option<&'static str>);

const FLEET: [Kind; 12] = [
    (Role::Alb, "alb", 2, 1, 0, None),
    (Role::Web, "web", 4, 2, 10, Some("web-server")),
    (Role::App, "app", 7, 3, 10, Some("app-server")),
    (Role::Batch, "batch", 4, 2, 20, Some("batch-worker")),
    (Role::Node, "node", 4, 2, 30, Some("eks-node")),
    (Role::Db, "db", 2, 1, 20, None),
    (Role::Nat, "nat", 1, 1, 0, None),
    (Role::Endpoint, "vpce-secrets", 1, 1, 10, None),
    (Role::Bastion, "bastion", 1, 1, 0, Some("bastion")),
    (Role::Dual, "dual", 1, 1, 10, Some("app-server")),
    (Role::Report, "report", 2, 1, 20, Some("reporting")),
    (Role::Idle, "standby", 1, 1, 20, Some("batch-worker")),
];

/// Third octet of each subnet.
pub(super) const SUBNETS: [u32; 4] = [0, 10, 20, 30];

/// Bucket stem, folder.
const BUCKETS: [(&str, &str); 8] = [
    ("backups", "nightly"),
    ("data-lake", "events"),
    ("uploads", "incoming"),
    ("logs", "web"),
    ("artifacts", "releases"),
    ("customer-records", "customers"),
    ("finance-exports", "ledger"),
    ("hr-documents", "people"),
];

impl World {
    /// The world of some options.
    pub(super) fn new(options: &Options) -> Self {
        let seed = options.seed;
        let small = options.scale == Scale::Small;
        let mut world = World {
            seed,
            start: options.start,
            days: u64::from(options.days),
            small,
            hosts: Vec::new(),
            subnets: SUBNETS.iter().map(|s| id(seed, "subnet", &s.to_string())).collect(),
            vpc: id(seed, "vpc", "main"),
            gateway: id(seed, "vpce", "s3"),
            nat_gateway: id(seed, "nat", "1"),
            flow_log: id(seed, "fl", "main"),
            buckets: buckets(seed),
        };
        world.settle();
        world
    }

    fn settle(&mut self) {
        for (role, name, full, small, octet, iam) in FLEET {
            for n in 1..=if self.small { small } else { full } {
                let host = host(self.seed, role, &format!("{name}-{n}"), octet, iam);
                let place = 10 + self.hosts.iter().filter(|h| h.subnet == host.subnet).count() as u32;
                self.hosts.push(Host {
                    addr: v4(10, 20, octet, place * 3),
                    ..host
                });
            }
        }
    }

    /// First second after the archive.
    pub(super) fn end(&self) -> Seconds {
        self.start + self.days * 86_400
    }

    /// A moment of the detection days: the last three, counted from 0.
    pub(super) fn at(&self, day: u64, hour: u64, minute: u64) -> Seconds {
        self.start + (self.days - 3 + day) * 86_400 + hour * 3_600 + minute * 60
    }

    /// Index of the host of that name. Names come from the code, and the small account has all that stories use.
    pub(super) fn find(&self, name: &str) -> usize {
        self.hosts.iter().position(|h| h.name == name).unwrap_or_default()
    }

    /// Indexes of all hosts of a role.
    pub(super) fn role(&self, role: Role) -> Vec<usize> {
        (0..self.hosts.len()).filter(|&i| self.hosts[i].role == role).collect()
    }

    /// Index of the bucket whose name begins with `stem`.
    pub(super) fn bucket(&self, stem: &str) -> &Bucket {
        let found = self.buckets.iter().position(|b| b.name.starts_with(stem));
        &self.buckets[found.unwrap_or_default()]
    }

    /// A random identifier in AWS's form, the same for the same label.
    pub(super) fn id(&self, prefix: &str, label: &str) -> String {
        id(self.seed, prefix, label)
    }
}

fn host(seed: u64, role: Role, name: &str, octet: u32, iam: Option<&'static str>) -> Host {
    let mut rng = Rng::fork(seed, &format!("host {name}"));
    let public = [Role::Nat, Role::Bastion, Role::Alb].contains(&role);
    let pods = if role == Role::Node {
        (0..2).map(|_| v4(10, 20, 31, rng.range(2, 250) as u32)).collect()
    } else {
        vec![]
    };
    Host {
        role,
        name: name.to_owned(),
        eni: id(seed, "eni", name),
        instance: iam.map(|_| id(seed, "i", name)),
        addr: Addr::default(),
        addr6: (role == Role::Dual).then(|| Addr(0x2600_1f18_4a2b_1000 << 64 | u128::from(rng.next()))),
        pods,
        public: public.then(|| v4(54, 208, rng.range(1, 250) as u32, rng.range(1, 250) as u32)),
        subnet: SUBNETS.iter().position(|&s| s == octet).unwrap_or_default(),
        iam,
        renewal: rng.below(6 * 3_600),
    }
}

fn id(seed: u64, prefix: &str, label: &str) -> String {
    let digits = Rng::fork(seed, &format!("id {prefix} {label}")).hex(16);
    format!("{prefix}-0{digits}")
}

fn buckets(seed: u64) -> Vec<Bucket> {
    let tail = Rng::fork(seed, "buckets").hex(6);
    let own = BUCKETS.iter().map(|(stem, folder)| Bucket {
        name: format!("{stem}-{tail}"),
        account: ACCOUNT,
        folder,
    });
    let foreign = Bucket {
        name: format!("sync-mirror-{tail}"),
        account: FOREIGN_ACCOUNT,
        folder: "in",
    };
    own.chain([foreign]).collect()
}
