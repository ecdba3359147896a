//! Networks that interfaces may send to: one a line, or the permissions of a security group as `contain` writes them.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::error::{Error, Result};

/// What may be sent to.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    /// Any of which will do.
    pub rules: Vec<Rule>,
    /// Parts that are not understood: prefix lists and other groups by id.
    pub unsupported: Vec<String>,
}

/// One network, with what may go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where to.
    pub network: IpNetwork,
    /// IANA protocol; none for all.
    pub protocol: Option<u8>,
    /// First and last port; none for all.
    pub ports: Option<(u16, u16)>,
}

impl Rule {
    fn fits(&self, to: IpAddr, port: u16, protocol: u8) -> bool {
        self.network.contains(to)
            && self.protocol.is_none_or(|p| p == protocol)
            && self.ports.is_none_or(|(from, last)| (from..=last).contains(&port))
    }
}

impl Networks {
    /// Reads lines (`#` begins a comment) or JSON.
    ///
    /// # Errors
    /// `Usage`, with the line that is no network.
    pub fn parse(text: &str) -> Result<Self> {
        let out = if text.starts_with('[') {
            of_permissions(text)?
        } else {
            of_lines(text)?
        };
        if out.rules.is_empty() && out.unsupported.is_empty() {
            return Err(Error::usage(
                "no network in it: one CIDR a line, or a security group's permissions as JSON",
            ));
        }
        Ok(out)
    }

    /// True if a flow may go there.
    pub fn allow(&self, to: IpAddr, port: u16, protocol: u8) -> bool {
        self.rules.iter().any(|r| r.fits(to, port, protocol))
    }
}

fn of_lines(text: &str) -> Result<Networks> {
    let mut out = Networks::default();
    for (n, line) in (1u64..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let network = line
            .parse()
            .map_err(|_| Error::usage(format!("`{line}` is no network like 10.0.0.0/8")).line(n))?;
        out.rules.push(Rule {
            network,
            protocol: None,
            ports: None,
        });
    }
    Ok(out)
}

fn of_permissions(text: &str) -> Result<Networks> {
    let list: Vec<Value> = serde_json::from_str(text).map_err(|e| Error::usage(format!("no JSON: {e}")))?;
    let mut out = Networks::default();
    for permission in &list {
        let protocol = match permission["IpProtocol"].as_str().unwrap_or_default() {
            "tcp" => Some(6),
            "udp" => Some(17),
            "icmp" => Some(1),
            "icmpv6" => Some(58),
            "-1" => None,
            other => Some(
                other
                    .parse()
                    .map_err(|_| Error::usage(format!("IpProtocol `{other}` is not known")))?,
            ),
        };
        let port = |key: &str| permission[key].as_u64().and_then(|p| u16::try_from(p).ok());
        let ports = port("FromPort")
            .zip(port("ToPort"))
            .filter(|_| matches!(protocol, Some(6 | 17)));
        for (list, key) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
            for range in permission[list].as_array().into_iter().flatten() {
                let text = range[key].as_str().unwrap_or_default();
                let network = text
                    .parse()
                    .map_err(|_| Error::usage(format!("`{text}` is no network")))?;
                out.rules.push(Rule {
                    network,
                    protocol,
                    ports,
                });
            }
        }
        for (list, key) in [("PrefixListIds", "PrefixListId"), ("UserIdGroupPairs", "GroupId")] {
            let ids = permission[list].as_array().into_iter().flatten();
            out.unsupported
                .extend(ids.filter_map(|i| Some(format!("{key} {}", i[key].as_str()?))));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_permissions_are_read() {
        let lines = Networks::parse("# usual\n10.0.0.0/8\n198.51.100.7 # partner\n").unwrap();
        assert!(
            lines.allow("10.1.2.3".parse().unwrap(), 22, 6) && !lines.allow("203.0.113.1".parse().unwrap(), 443, 6)
        );
        let json = r#"[{"IpProtocol":"tcp","FromPort":443,"ToPort":443,"IpRanges":[{"CidrIp":"198.51.100.0/24"}],
            "PrefixListIds":[{"PrefixListId":"pl-1"}]}]"#;
        let group = Networks::parse(json).unwrap();
        assert!(group.allow("198.51.100.7".parse().unwrap(), 443, 6));
        assert!(!group.allow("198.51.100.7".parse().unwrap(), 22, 6));
        assert_eq!(group.unsupported, ["PrefixListId pl-1"]);
        let wrong = Networks::parse("10.0.0.0/8\nexample.com\n").unwrap_err();
        assert!(wrong.to_string().contains(":2") && wrong.to_string().contains("example.com"));
    }
}
