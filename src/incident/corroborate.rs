//! When is an incident more than its loudest finding? When sources that do not know of each other agree.
//!
//! Flow logs show bytes that left, lists say what the far end is, CloudTrail shows what the machine's own session did.
//! Bytes that left beside one of the other two are HIGH, beside both CRITICAL. Volume and novelty are one source, however
//! many rules see them: they stay MEDIUM.

use crate::detect::{Finding, Severity};

/// The severity of findings that are one incident, reportable ones only.
pub(super) fn severity(members: &[Finding]) -> Severity {
    let loudest = members.iter().map(|f| f.severity).max().unwrap_or_default();
    let serious = |f: &&Finding| f.severity >= Severity::Medium;
    let flows = || members.iter().filter(serious).filter(|f| !f.cells.is_empty());
    let left = flows().any(|f| !f.corroborated);
    let listed = flows().any(|f| f.corroborated);
    let trail = members.iter().filter(serious).any(|f| !f.requests.is_empty());
    let together = match (left, listed, trail) {
        (true, true, true) => Severity::Critical,
        (true, false, true) | (false, true, true) => Severity::High,
        _ => loudest,
    };
    together.max(loudest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(rule: &'static str, severity: Severity, cell: bool, request: bool, listed: bool) -> Finding {
        Finding {
            rule,
            severity,
            cells: cell.then_some(1).into_iter().collect(),
            requests: request.then_some(1).into_iter().collect(),
            corroborated: listed,
            ..Finding::default()
        }
    }

    #[test]
    fn volume_alone_stays_medium_and_two_sources_do_not() {
        use Severity::{Critical, High, Low, Medium};
        let volume = |rule| finding(rule, Medium, true, false, false);
        let trail = |s| finding("s3-unusual-caller", s, false, true, false);
        let tor = |s| finding("tor-egress", s, true, false, true);
        assert_eq!(
            severity(&[volume("volume-spike"), volume("new-destination"), volume("relay")]),
            Medium
        );
        assert_eq!(severity(&[volume("volume-spike"), trail(Low)]), Medium);
        assert_eq!(severity(&[volume("volume-spike"), trail(Medium)]), High);
        assert_eq!(severity(&[volume("volume-spike"), tor(Low)]), Medium);
        assert_eq!(severity(&[volume("volume-spike"), tor(High)]), High);
        assert_eq!(severity(&[volume("volume-spike"), tor(High), trail(Medium)]), Critical);
    }
}
