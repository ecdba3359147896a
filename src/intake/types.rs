//! GuardDuty's finding types: one table of today's names for S3, EC2 and IAM, and one of the retired names with their heirs.
//!
//! A type reads `Purpose:Resource/Family.Detail!Artifact`. Older events carry `[beta]` in front or a blank for the slash.
//! Source: "GuardDuty finding types" and "Retired finding types" in the GuardDuty user guide.

use std::fmt;

/// A finding type as a tool wrote it, and what it is called today.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeName {
    written: String,
    plain: String,
}

/// What a type rests upon: whether it adds anything to bytes that were seen to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// A list names the far end (`….Custom`: the account's own list).
    List,
    /// A model found the calls of a principal unusual.
    Model,
    /// The same volumes and ports that flow logs show.
    Volume,
    /// Credentials stand where they do not belong.
    Credentials,
    /// A pattern of packets or names: tunnels, scans, command and control.
    Pattern,
    /// How something is configured.
    Posture,
    /// Several of these together.
    Sequence,
}

impl TypeName {
    /// Of the text of a finding.
    pub fn new(written: &str) -> Self {
        let plain = written.trim();
        let plain = plain.strip_prefix("[beta]").unwrap_or(plain).trim_start();
        let plain = match (plain.contains('/'), plain.split_once(' ')) {
            (false, Some((head, rest))) => format!("{head}/{rest}"),
            _ => plain.to_owned(),
        };
        TypeName {
            written: written.to_owned(),
            plain,
        }
    }

    /// As written, without `[beta]` and with its slash.
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// Exactly as written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// What GuardDuty calls it today: the heir of a retired name, else the name itself.
    pub fn current(&self) -> &str {
        let heir = RETIRED.iter().find(|(old, _)| *old == self.plain);
        heir.and_then(|(_, new)| *new).unwrap_or(&self.plain)
    }

    /// True if GuardDuty no longer gives this name.
    pub fn is_retired(&self) -> bool {
        RETIRED.iter().any(|(old, _)| *old == self.plain)
    }

    /// True for a name of [`KNOWN`], or a retired one.
    pub fn is_known(&self) -> bool {
        let stem = self.plain.split('!').next().unwrap_or_default();
        self.is_retired() || KNOWN.contains(&self.plain.as_str()) || KNOWN.contains(&stem)
    }

    /// `S3`, `EC2`, `IAMUser`, …: what stands between the colon and the slash.
    pub fn resource(&self) -> &str {
        let after = self.current().split_once(':').map_or("", |(_, r)| r);
        after.split('/').next().unwrap_or_default()
    }

    /// What it rests upon.
    pub fn ground(&self) -> Ground {
        let name = self.current();
        let has = |part: &str| name.contains(part);
        match name.split(':').next().unwrap_or_default() {
            "AttackSequence" => Ground::Sequence,
            "Policy" | "Stealth" => Ground::Posture,
            "Behavior" => Ground::Volume,
            _ if has("IPCaller") || has("/Tor") || has("DropPoint") || has("BlackholeTraffic") => Ground::List,
            _ if has("CredentialExfiltration") => Ground::Credentials,
            _ if has("AnomalousBehavior") => Ground::Model,
            _ => Ground::Pattern,
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain)
    }
}

/// Names that GuardDuty no longer gives, and the heir where there is one.
const RETIRED: &[(&str, Option<&str>)] = &[
    (
        "Exfiltration:S3/ObjectRead.Unusual",
        Some("Exfiltration:S3/AnomalousBehavior"),
    ),
    (
        "Impact:S3/ObjectDelete.Unusual",
        Some("Impact:S3/AnomalousBehavior.Delete"),
    ),
    (
        "Impact:S3/PermissionsModification.Unusual",
        Some("Impact:S3/AnomalousBehavior.Permission"),
    ),
    (
        "Discovery:S3/BucketEnumeration.Unusual",
        Some("Discovery:S3/AnomalousBehavior"),
    ),
    (
        "Persistence:IAMUser/NetworkPermissions",
        Some("Persistence:IAMUser/AnomalousBehavior"),
    ),
    (
        "Persistence:IAMUser/ResourcePermissions",
        Some("Persistence:IAMUser/AnomalousBehavior"),
    ),
    (
        "Persistence:IAMUser/UserPermissions",
        Some("Persistence:IAMUser/AnomalousBehavior"),
    ),
    (
        "PrivilegeEscalation:IAMUser/AdministrativePermissions",
        Some("PrivilegeEscalation:IAMUser/AnomalousBehavior"),
    ),
    (
        "Recon:IAMUser/NetworkPermissions",
        Some("Discovery:IAMUser/AnomalousBehavior"),
    ),
    (
        "Recon:IAMUser/ResourcePermissions",
        Some("Discovery:IAMUser/AnomalousBehavior"),
    ),
    (
        "Recon:IAMUser/UserPermissions",
        Some("Discovery:IAMUser/AnomalousBehavior"),
    ),
    (
        "ResourceConsumption:IAMUser/ComputeResources",
        Some("Impact:IAMUser/AnomalousBehavior"),
    ),
    (
        "Stealth:IAMUser/LoggingConfigurationModified",
        Some("DefenseEvasion:IAMUser/AnomalousBehavior"),
    ),
    (
        "UnauthorizedAccess:IAMUser/ConsoleLogin",
        Some("InitialAccess:IAMUser/AnomalousBehavior"),
    ),
    (
        "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration",
        Some("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"),
    ),
    ("UnauthorizedAccess:EC2/TorIPCaller", None),
    ("Backdoor:EC2/XORDDOS", None),
    ("Behavior:IAMUser/InstanceLaunchUnusual", None),
    ("CryptoCurrency:EC2/BitcoinTool.A", None),
    ("UnauthorizedAccess:IAMUser/UnusualASNCaller", None),
];

/// Today's names for S3, EC2 and IAM, and the sequences, sorted.
pub const KNOWN: &[&str] = &[
    "AttackSequence:EC2/CompromisedInstanceGroup",
    "AttackSequence:ECS/CompromisedCluster",
    "AttackSequence:EKS/CompromisedCluster",
    "AttackSequence:IAM/CompromisedCredentials",
    "AttackSequence:S3/CompromisedData",
    "Backdoor:EC2/C&CActivity.B",
    "Backdoor:EC2/DenialOfService.Dns",
    "Backdoor:EC2/DenialOfService.Tcp",
    "Backdoor:EC2/DenialOfService.Udp",
    "Backdoor:EC2/DenialOfService.UdpOnTcpPorts",
    "Backdoor:EC2/DenialOfService.UnusualProtocol",
    "Backdoor:EC2/Spambot",
    "Behavior:EC2/NetworkPortUnusual",
    "Behavior:EC2/TrafficVolumeUnusual",
    "CredentialAccess:IAMUser/AnomalousBehavior",
    "CredentialAccess:IAMUser/CompromisedCredentials",
    "CryptoCurrency:EC2/BitcoinTool.B",
    "DefenseEvasion:EC2/UnusualDNSResolver",
    "DefenseEvasion:EC2/UnusualDoHActivity",
    "DefenseEvasion:EC2/UnusualDoTActivity",
    "DefenseEvasion:IAMUser/AnomalousBehavior",
    "DefenseEvasion:IAMUser/BedrockLoggingDisabled",
    "Discovery:IAMUser/AnomalousBehavior",
    "Discovery:S3/AnomalousBehavior",
    "Discovery:S3/MaliciousIPCaller",
    "Discovery:S3/MaliciousIPCaller.Custom",
    "Discovery:S3/TorIPCaller",
    "Exfiltration:IAMUser/AnomalousBehavior",
    "Exfiltration:S3/AnomalousBehavior",
    "Exfiltration:S3/MaliciousIPCaller",
    "Impact:EC2/AbusedDomainRequest.Reputation",
    "Impact:EC2/BitcoinDomainRequest.Reputation",
    "Impact:EC2/MaliciousDomainRequest.Custom",
    "Impact:EC2/MaliciousDomainRequest.Reputation",
    "Impact:EC2/PortSweep",
    "Impact:EC2/SuspiciousDomainRequest.Reputation",
    "Impact:EC2/WinRMBruteForce",
    "Impact:IAMUser/AnomalousBehavior",
    "Impact:S3/AnomalousBehavior.Delete",
    "Impact:S3/AnomalousBehavior.Permission",
    "Impact:S3/AnomalousBehavior.Write",
    "Impact:S3/MaliciousIPCaller",
    "InitialAccess:IAMUser/AnomalousBehavior",
    "PenTest:IAMUser/KaliLinux",
    "PenTest:IAMUser/ParrotLinux",
    "PenTest:IAMUser/PentooLinux",
    "PenTest:S3/KaliLinux",
    "PenTest:S3/ParrotLinux",
    "PenTest:S3/PentooLinux",
    "Persistence:IAMUser/AnomalousBehavior",
    "Policy:IAMUser/RootCredentialUsage",
    "Policy:IAMUser/ShortTermRootCredentialUsage",
    "Policy:S3/AccountBlockPublicAccessDisabled",
    "Policy:S3/BucketAnonymousAccessGranted",
    "Policy:S3/BucketBlockPublicAccessDisabled",
    "Policy:S3/BucketPublicAccessGranted",
    "PrivilegeEscalation:IAMUser/AnomalousBehavior",
    "Recon:EC2/PortProbeEMRUnprotectedPort",
    "Recon:EC2/PortProbeUnprotectedPort",
    "Recon:EC2/Portscan",
    "Recon:IAMUser/MaliciousIPCaller",
    "Recon:IAMUser/MaliciousIPCaller.Custom",
    "Recon:IAMUser/TorIPCaller",
    "Stealth:IAMUser/CloudTrailLoggingDisabled",
    "Stealth:IAMUser/PasswordPolicyChange",
    "Stealth:S3/ServerAccessLoggingDisabled",
    "Trojan:EC2/BlackholeTraffic",
    "Trojan:EC2/DGADomainRequest.B",
    "Trojan:EC2/DGADomainRequest.C",
    "Trojan:EC2/DNSDataExfiltration",
    "Trojan:EC2/DriveBySourceTraffic",
    "Trojan:EC2/DropPoint",
    "Trojan:EC2/PhishingDomainRequest",
    "UnauthorizedAccess:EC2/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:EC2/MetadataDNSRebind",
    "UnauthorizedAccess:EC2/RDPBruteForce",
    "UnauthorizedAccess:EC2/SSHBruteForce",
    "UnauthorizedAccess:EC2/TorClient",
    "UnauthorizedAccess:EC2/TorRelay",
    "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
    "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
    "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.InsideAWS",
    "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS",
    "UnauthorizedAccess:IAMUser/TorIPCaller",
    "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:S3/TorIPCaller",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_playbooks_seven_types_are_read_and_the_retired_ones_have_heirs() {
        let seven = [
            ("Exfiltration:S3/MaliciousIPCaller", "Exfiltration:S3/MaliciousIPCaller"),
            (
                "Exfiltration:S3/ObjectRead.Unusual",
                "Exfiltration:S3/AnomalousBehavior",
            ),
            (
                "Discovery:S3/MaliciousIPCaller.Custom",
                "Discovery:S3/MaliciousIPCaller.Custom",
            ),
            (
                "Discovery:S3/BucketEnumeration.Unusual",
                "Discovery:S3/AnomalousBehavior",
            ),
            (
                "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
                "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
            ),
            ("UnauthorizedAccess:S3/TorIPCaller", "UnauthorizedAccess:S3/TorIPCaller"),
            (
                "Impact:S3/AnomalousBehavior.Delete",
                "Impact:S3/AnomalousBehavior.Delete",
            ),
        ];
        for (written, current) in seven {
            let name = TypeName::new(written);
            assert!(name.is_known());
            assert_eq!(name.current(), current);
            assert_eq!(name.is_retired(), written != current);
        }
    }

    #[test]
    fn every_type_that_a_detector_names_is_known() {
        let of_flows = crate::detect::DETECTORS.iter().filter_map(|d| d.meta().guardduty);
        let of_trail = crate::detect::TRAIL_DETECTORS
            .iter()
            .flat_map(|d| d.meta().guardduty.iter().chain(d.retired()).copied());
        for name in of_flows.chain(of_trail).filter(|n| !n.contains('*')) {
            assert!(TypeName::new(name).is_known(), "{name}");
        }
    }

    #[test]
    fn old_spellings_are_read() {
        assert_eq!(
            TypeName::new("[beta]Exfiltration:S3/AnomalousBehavior").plain(),
            "Exfiltration:S3/AnomalousBehavior"
        );
        let probe = TypeName::new("Recon:EC2 PortProbeUnprotectedPort");
        assert_eq!(probe.plain(), "Recon:EC2/PortProbeUnprotectedPort");
        assert!(TypeName::new("Backdoor:EC2/C&CActivity.B!DNS").is_known());
        assert!(!TypeName::new("Recon:Toaster/Unplugged").is_known());
    }

    #[test]
    fn the_tables_are_sorted_and_every_heir_is_known() {
        assert!(KNOWN.is_sorted());
        assert!(RETIRED.iter().filter_map(|(_, new)| *new).all(|n| KNOWN.contains(&n)));
    }

    #[test]
    fn volume_of_the_same_packets_is_told_from_other_grounds() {
        let ground = |t: &str| TypeName::new(t).ground();
        assert_eq!(ground("Behavior:EC2/TrafficVolumeUnusual"), Ground::Volume);
        assert_eq!(ground("UnauthorizedAccess:S3/TorIPCaller"), Ground::List);
        assert_eq!(ground("Exfiltration:S3/ObjectRead.Unusual"), Ground::Model);
        assert_eq!(ground("Policy:S3/BucketPublicAccessGranted"), Ground::Posture);
    }
}
