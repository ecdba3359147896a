//! What was read before: sums of records by the hour, and what became of their files, in place of the files.
//!
//! A [`Shelf`] holds some files of an archive. Those are not read again: their reports, counts and sums are taken from it,
//! the other files are read as ever. A sum stands for records that agree in everything but size and time within one hour,
//! so a tally does with it what it would have done with each of them.

use crate::aggregate::interner::Described;
use crate::aggregate::outcome::TaskReport;
use crate::aggregate::stats::RecordCounts;
use crate::aggregate::table::{Role, Volume};
use crate::aggregate::watch::Presence;
use crate::flow::{Action, Field, FlowDirection, LogFormat};
use crate::input::Fingerprint;
use crate::net::Addr;
use std::fmt::Debug;
use std::sync::LazyLock;

/// What was read before. Files are numbered as in the archive that it was made for.
pub trait Shelf: Debug + Send + Sync {
    /// True if the file need not be read.
    fn holds(&self, file: u32) -> bool;

    /// What became of a file that it holds, and the counts over its records.
    fn report(&self, file: u32) -> Option<(TaskReport, RecordCounts)>;

    /// The contents of the files that it holds.
    fn contents(&self) -> Vec<(Fingerprint, u32)>;

    /// Tells what NODATA and SKIPDATA records say, by the id of the flow log, interface and hour.
    fn quiet(&self, tell: &mut dyn FnMut(&str, &[u8], Presence));

    /// In how many parts its sums are handed out.
    fn parts(&self) -> usize;

    /// Hands out the sums of one part. `log` tells the number of a flow log by its id. What fails is kept and told by
    /// whoever made the shelf.
    fn fill(&self, part: usize, log: &dyn Fn(&str) -> u16, each: &mut dyn FnMut(&Summed<'_>));
}

/// Records of one hour that agree in everything but size and time.
#[derive(Debug, Clone, Copy)]
pub struct Summed<'f> {
    /// `srcaddr`
    pub src: Addr,
    /// `dstaddr`
    pub dst: Addr,
    /// `pkt-srcaddr`, or `srcaddr`.
    pub source: Addr,
    /// `pkt-dstaddr`, or `dstaddr`.
    pub destination: Addr,
    /// `flow-direction`
    pub direction: Option<FlowDirection>,
    /// Who the source was: decided by flags and ports of each record.
    pub role: Role,
    /// `srcport`; 0 if the source was the client.
    pub src_port: u16,
    /// `dstport`; 0 if the source was the server.
    pub dst_port: u16,
    /// IANA protocol number.
    pub protocol: u8,
    /// `action`
    pub action: Action,
    /// Number of the flow log.
    pub log: u16,
    /// The sums; its first start stands for the hour.
    pub volume: Volume,
    /// What the records say of the interface.
    pub facts: &'f Facts,
}

/// What a record says of its interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Facts {
    /// `interface-id`, or `resource-id` where there is none, or `-`.
    pub interface: Box<[u8]>,
    /// `account-id`
    pub account: Option<Box<[u8]>>,
    /// `vpc-id`
    pub vpc: Option<Box<[u8]>>,
    /// `subnet-id`
    pub subnet: Option<Box<[u8]>>,
    /// `region`
    pub region: Option<Box<[u8]>>,
    /// `interface-type`
    pub kind: Option<Box<[u8]>>,
    /// `instance-id`
    pub instance: Option<Box<[u8]>>,
    /// The format has an `instance-id`.
    pub instance_column: bool,
}

impl Facts {
    /// What a record says.
    pub fn of(record: &impl Described) -> Facts {
        let text = |f: Field| record.text(f).map(Box::from);
        Facts {
            interface: record.interface().into(),
            account: text(Field::AccountId),
            vpc: text(Field::VpcId),
            subnet: text(Field::SubnetId),
            region: text(Field::Region),
            kind: text(Field::InterfaceType),
            instance: text(Field::InstanceId),
            instance_column: record.format().has(Field::InstanceId),
        }
    }

    /// True if the record says the same.
    pub fn fits(&self, record: &impl Described) -> bool {
        let same = |kept: &Option<Box<[u8]>>, f: Field| kept.as_deref() == record.text(f);
        *self.interface == *record.interface()
            && same(&self.account, Field::AccountId)
            && same(&self.vpc, Field::VpcId)
            && same(&self.subnet, Field::SubnetId)
            && same(&self.region, Field::Region)
            && same(&self.kind, Field::InterfaceType)
            && same(&self.instance, Field::InstanceId)
            && self.instance_column == record.format().has(Field::InstanceId)
    }
}

static WITH_INSTANCES: LazyLock<Option<LogFormat>> = LazyLock::new(|| LogFormat::from_spec("instance-id").ok());
static PLAIN: LazyLock<LogFormat> = LazyLock::new(LogFormat::default_v2);

impl Described for Facts {
    fn text(&self, field: Field) -> Option<&[u8]> {
        match field {
            Field::InterfaceId => Some(&*self.interface).filter(|t| *t != b"-"),
            Field::AccountId => self.account.as_deref(),
            Field::VpcId => self.vpc.as_deref(),
            Field::SubnetId => self.subnet.as_deref(),
            Field::Region => self.region.as_deref(),
            Field::InterfaceType => self.kind.as_deref(),
            Field::InstanceId => self.instance.as_deref(),
            _ => None,
        }
    }

    fn format(&self) -> &LogFormat {
        let format = WITH_INSTANCES.as_ref().filter(|_| self.instance_column);
        format.unwrap_or(&PLAIN)
    }
}
