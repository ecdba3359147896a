//! The one table of all flow log fields: VPC versions 2-11 and transit gateway version 6.
//!
//! Source: "Flow log records" and "Transit Gateway Flow Log records" in the Amazon VPC user guide. A new AWS field is one
//! row here; the parser, the documentation and every reader of other forms follow. Names are AWS's, with hyphens; Parquet
//! and JSON spell the same names with underscores.

/// What a field may hold, apart from `-` ("not applicable"), which is legal in every column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Opaque bytes: any content is good, and is escaped on every way out.
    Text,
    /// ASCII digits, at most this value.
    Number(u64),
    /// Dotted IPv4 or RFC 4291 IPv6 text.
    Address,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// The field.
    pub field: Field,
    /// AWS's name.
    pub name: &'static str,
    /// The flow log version that brought it.
    pub version: u8,
    /// What it may hold.
    pub kind: Kind,
}

const TEXT: Kind = Kind::Text;
const ADDR: Kind = Kind::Address;
const PORT: Kind = Kind::Number(u16::MAX as u64);
const BYTE: Kind = Kind::Number(u8::MAX as u64);
const I32: Kind = Kind::Number(i32::MAX as u64);
const I64: Kind = Kind::Number(i64::MAX as u64);

macro_rules! fields {
    ($($variant:ident $name:literal $version:literal $kind:expr;)*) => {
        /// A flow log field that AWS documents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        /// All fields, in AWS's order; `FIELDS[f as usize]` describes `f`.
        pub const FIELDS: &[FieldInfo] = &[
            $(FieldInfo { field: Field::$variant, name: $name, version: $version, kind: $kind },)*
        ];
    };
}

fields! {
    Version "version" 2 I32;
    AccountId "account-id" 2 TEXT;
    InterfaceId "interface-id" 2 TEXT;
    SrcAddr "srcaddr" 2 ADDR;
    DstAddr "dstaddr" 2 ADDR;
    SrcPort "srcport" 2 PORT;
    DstPort "dstport" 2 PORT;
    Protocol "protocol" 2 BYTE;
    Packets "packets" 2 I64;
    Bytes "bytes" 2 I64;
    Start "start" 2 I64;
    End "end" 2 I64;
    Action "action" 2 TEXT;
    LogStatus "log-status" 2 TEXT;
    VpcId "vpc-id" 3 TEXT;
    SubnetId "subnet-id" 3 TEXT;
    InstanceId "instance-id" 3 TEXT;
    TcpFlags "tcp-flags" 3 I32;
    Type "type" 3 TEXT;
    PktSrcAddr "pkt-srcaddr" 3 ADDR;
    PktDstAddr "pkt-dstaddr" 3 ADDR;
    Region "region" 4 TEXT;
    AzId "az-id" 4 TEXT;
    SublocationType "sublocation-type" 4 TEXT;
    SublocationId "sublocation-id" 4 TEXT;
    PktSrcAwsService "pkt-src-aws-service" 5 TEXT;
    PktDstAwsService "pkt-dst-aws-service" 5 TEXT;
    FlowDirection "flow-direction" 5 TEXT;
    TrafficPath "traffic-path" 5 I32;
    EcsClusterArn "ecs-cluster-arn" 7 TEXT;
    EcsClusterName "ecs-cluster-name" 7 TEXT;
    EcsContainerInstanceArn "ecs-container-instance-arn" 7 TEXT;
    EcsContainerInstanceId "ecs-container-instance-id" 7 TEXT;
    EcsContainerId "ecs-container-id" 7 TEXT;
    EcsSecondContainerId "ecs-second-container-id" 7 TEXT;
    EcsServiceName "ecs-service-name" 7 TEXT;
    EcsTaskDefinitionArn "ecs-task-definition-arn" 7 TEXT;
    EcsTaskArn "ecs-task-arn" 7 TEXT;
    EcsTaskId "ecs-task-id" 7 TEXT;
    RejectReason "reject-reason" 8 TEXT;
    ResourceId "resource-id" 9 TEXT;
    EncryptionStatus "encryption-status" 10 I32;
    InstanceTag "instance-tag" 11 TEXT;
    InstanceTag2 "instance-tag-2" 11 TEXT;
    InterfaceTag "interface-tag" 11 TEXT;
    InterfaceTag2 "interface-tag-2" 11 TEXT;
    AsgTag "asg-tag" 11 TEXT;
    AsgTag2 "asg-tag-2" 11 TEXT;
    InterfaceType "interface-type" 11 TEXT;
    NextHopInterfaceId "next-hop-interface-id" 11 TEXT;
    NextHopSubnetId "next-hop-subnet-id" 11 TEXT;
    NextHopAzId "next-hop-az-id" 11 TEXT;
    NextHopVpcId "next-hop-vpc-id" 11 TEXT;
    NextHopInterfaceType "next-hop-interface-type" 11 TEXT;
    ResourceType "resource-type" 6 TEXT;
    TgwId "tgw-id" 6 TEXT;
    TgwAttachmentId "tgw-attachment-id" 6 TEXT;
    TgwSrcVpcAccountId "tgw-src-vpc-account-id" 6 TEXT;
    TgwDstVpcAccountId "tgw-dst-vpc-account-id" 6 TEXT;
    TgwSrcVpcId "tgw-src-vpc-id" 6 TEXT;
    TgwDstVpcId "tgw-dst-vpc-id" 6 TEXT;
    TgwSrcSubnetId "tgw-src-subnet-id" 6 TEXT;
    TgwDstSubnetId "tgw-dst-subnet-id" 6 TEXT;
    TgwSrcEni "tgw-src-eni" 6 TEXT;
    TgwDstEni "tgw-dst-eni" 6 TEXT;
    TgwSrcAzId "tgw-src-az-id" 6 TEXT;
    TgwDstAzId "tgw-dst-az-id" 6 TEXT;
    TgwPairAttachmentId "tgw-pair-attachment-id" 6 TEXT;
    PacketsLostNoRoute "packets-lost-no-route" 6 I64;
    PacketsLostBlackhole "packets-lost-blackhole" 6 I64;
    PacketsLostMtuExceeded "packets-lost-mtu-exceeded" 6 I64;
    PacketsLostTtlExpired "packets-lost-ttl-expired" 6 I64;
}

impl Field {
    /// Number of fields known.
    pub const COUNT: usize = FIELDS.len();

    /// What a record with log-status OK must have a value in, as far as its format has the column (design.md, rule 2).
    pub const REQUIRED: [Field; 5] = [Field::SrcAddr, Field::DstAddr, Field::Bytes, Field::Start, Field::End];

    /// The field of that name, as a header line spells it.
    pub fn from_name(name: &[u8]) -> Option<Field> {
        FIELDS.iter().find(|f| f.name.as_bytes() == name).map(|f| f.field)
    }

    /// This field's row of the table.
    pub const fn info(self) -> &'static FieldInfo {
        &FIELDS[self as usize]
    }

    /// AWS's name.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// True for fields that only transit gateway flow logs have.
    pub const fn is_transit_gateway(self) -> bool {
        self.info().version == 6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_54_vpc_fields_and_is_indexed_by_the_enum() {
        assert_eq!(FIELDS.iter().filter(|f| f.version != 6).count(), 54);
        assert!(FIELDS.iter().enumerate().all(|(i, f)| f.field as usize == i));
    }

    #[test]
    fn names_are_unique_and_look_like_header_tokens() {
        for f in FIELDS {
            assert_eq!(Field::from_name(f.name.as_bytes()), Some(f.field), "{}", f.name);
            assert!(
                f.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
        }
    }
}
