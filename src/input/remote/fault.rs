//! What can go wrong with a request, whether it is worth another try, and how long to wait before it.
//!
//! Words only, never a header or a signed URL: a message that a user pastes into a ticket holds no credential.

use crate::net::printable;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Worth another try; after so long at least, if the server said so.
    Again { reason: String, after: Option<Duration> },
    /// This object is not to be had.
    Object(String),
    /// No object is to be had: the credentials are worn out or were never good.
    Access(String),
    /// The bucket lies in another region.
    Region(String),
}

/// Tries of one request.
pub(super) const TRIES: u32 = 10;
/// After this no further try is made.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

impl Fault {
    pub(super) fn again(reason: impl Into<String>) -> Self {
        Fault::Again {
            reason: reason.into(),
            after: None,
        }
    }

    /// Of a connection that did not come about or broke. A certificate that is refused is refused the next time too.
    pub(super) fn of_connection(e: &HttpError, host: &str) -> Self {
        let what = match e.kind() {
            HttpErrorKind::Connect => "no connection to",
            HttpErrorKind::Timeout => "no answer in time from",
            _ => "the connection broke to",
        };
        let mut cause: &(dyn Error + 'static) = e;
        let mut refused = is_refused(cause);
        while let Some(next) = cause.source() {
            cause = next;
            refused |= is_refused(cause);
        }
        let reason = format!("{what} {} ({cause})", printable(host.as_bytes()));
        if refused {
            Fault::Access(reason)
        } else {
            Self::again(reason)
        }
    }

    /// Of an answer that is no success. `body` is S3's XML, `region` what a header says.
    pub(super) fn of_status(status: u16, body: &str, region: Option<&str>, after: Option<&str>) -> Self {
        let code = tag(body, "Code").unwrap_or_default();
        let reason = match code {
            "" => format!("S3 answers {status}"),
            code => format!("S3 answers {status} {code}"),
        };
        let named = region.or_else(|| tag(body, "Region")).map(str::to_string);
        match (status, code, named) {
            (301 | 400 | 403, c, Some(region)) if c != "AccessDenied" => Fault::Region(region),
            (_, "ExpiredToken" | "ExpiredTokenException", _) => {
                Fault::Access(format!("{reason}: the credentials have expired"))
            }
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidSecurity", _) => {
                Fault::Access(format!("{reason}: S3 does not know these credentials"))
            }
            (429 | 500..=599, _, _) | (408, _, _) | (_, "RequestTimeout" | "SlowDown", _) => Fault::Again {
                reason,
                after: after.and_then(|s| s.trim().parse().ok()).map(Duration::from_secs),
            },
            (300..=399, _, _) => Fault::Object(format!("{reason}: a redirection, which is not followed")),
            (403, "InvalidObjectState", _) => {
                Fault::Object(format!("{reason}: it is archived and must be restored first"))
            }
            (404, _, _) => Fault::Object(format!("{reason}: it is not there (any more)")),
            (412, _, _) => Fault::Object(format!("{reason}: it changed after it was listed")),
            _ => Fault::Object(reason),
        }
    }

    /// The words for it.
    pub(super) fn reason(self) -> String {
        match self {
            Fault::Again { reason, .. } => format!("{reason}, also after {TRIES} tries"),
            Fault::Object(reason) | Fault::Access(reason) => reason,
            Fault::Region(region) => format!("the bucket lies in {region}"),
        }
    }
}

/// True if the other side's certificate is why; layers below us wrap errors of input and output in each other.
fn is_refused(cause: &(dyn Error + 'static)) -> bool {
    if let Some(tls) = cause.downcast_ref() {
        return matches!(tls, rustls::Error::InvalidCertificate(_));
    }
    let inner = cause.downcast_ref::<std::io::Error>().and_then(|e| e.get_ref());
    inner.is_some_and(|e| is_refused(e))
}

/// How long to wait before try `n` (from 1): twice as long each time, any part of it at random, so that many readers do not
/// come back at once; never less than the server asked for.
pub(super) fn wait(n: u32, after: Option<Duration>) -> Duration {
    let most = Duration::from_millis(200)
        .saturating_mul(1 << n.min(16))
        .min(LONGEST_WAIT);
    let random = std::hash::RandomState::new().build_hasher().finish() % 1_000;
    let jittered = most.mul_f64(random as f64 / 1_000.0);
    after.map_or(jittered, |a| {
        a.min(Duration::from_secs(60)) + jittered.min(Duration::from_secs(1))
    })
}

/// The text of the first element of that name.
fn tag<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once('<')?;
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (text.len() < 64 && text.bytes().all(word)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, code: &str) -> Fault {
        Fault::of_status(status, &format!("<Error><Code>{code}</Code></Error>"), None, Some("3"))
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, code) in [
            (503, "SlowDown"),
            (500, "InternalError"),
            (429, "TooManyRequests"),
            (400, "RequestTimeout"),
        ] {
            assert!(matches!(of(status, code), Fault::Again { after: Some(a), .. } if a.as_secs() == 3));
        }
        for (status, code) in [
            (403, "AccessDenied"),
            (404, "NoSuchKey"),
            (412, "PreconditionFailed"),
            (307, ""),
        ] {
            assert!(matches!(of(status, code), Fault::Object(_)));
        }
        assert!(matches!(of(400, "ExpiredToken"), Fault::Access(_)));
        let elsewhere = Fault::of_status(301, "<Code>PermanentRedirect</Code>", Some("eu-west-1"), None);
        assert_eq!(elsewhere, Fault::Region("eu-west-1".into()));
    }

    #[test]
    fn waits_grow_are_bounded_and_heed_the_server() {
        for n in 1..40 {
            assert!(wait(n, None) <= LONGEST_WAIT);
        }
        assert!(wait(1, Some(Duration::from_secs(5))) >= Duration::from_secs(5));
    }

    #[test]
    fn a_hostile_code_is_not_repeated() {
        assert_eq!(of(403, "\u{1b}[31m"), Fault::Object("S3 answers 403".into()));
    }
}
