//! Any web service: the incident as it is, `flowtrail.finding/1`, in a POST.
//!
//! `Idempotency-Key` is the incident's id. With `secret-env` the body is signed as GitHub signs: `X-Flowtrail-Signature-256`
//! is `sha256=` and the HMAC-SHA256 of the body's bytes in hex (RFC 2104), which the receiver computes again and compares.
//! A recorded request stays good if it is sent again: the receiver keeps the ids that it has seen.

use super::http::{Header, Web};
use super::secret::Secret;
use super::{Answer, Carrier, Environment, Kind, Notice, Target};
use crate::error::Result;
use crate::report::shape::line;

/// The registry's line.
pub(super) const KIND: Kind = Kind {
    name: "webhook",
    about: "any web service: the finding as JSON, signed if you want",
    keys: &["url", "url-env", "secret-env"],
    open,
};

#[derive(Debug)]
struct Webhook {
    web: Web,
    secret: Option<Secret>,
}

fn open(target: &Target, environment: &Environment<'_>) -> Result<Box<dyn Carrier>> {
    let hidden = Secret::optional(target, "url-env", environment)?;
    let web = match (target.text("url"), &hidden) {
        (Some(url), None) => Web::open(target, "url", url)?,
        (None, Some(url)) => Web::open(target, "url-env", url.reveal())?,
        _ => return Err(target.wrong("url", "is needed, or url-env: the variable that holds it; not both")),
    };
    let secret = Secret::optional(target, "secret-env", environment)?;
    Ok(Box::new(Webhook { web, secret }))
}

impl Carrier for Webhook {
    fn carry(&self, notice: &Notice, _: bool) -> Answer {
        let Ok(body) = line(&notice.finding) else {
            return Answer::Refused("the incident cannot be written as JSON".into());
        };
        let mut headers: Vec<Header> = vec![("idempotency-key", format!("\"{}\"", notice.id))];
        if let Some(secret) = &self.secret {
            let signed = signature(secret.reveal().as_bytes(), body.as_bytes());
            headers.push(("x-flowtrail-signature-256", signed));
        }
        self.web.post(&headers, body.into_bytes())
    }
}

/// `sha256=` and 64 hex digits.
#[cfg(feature = "notify")]
fn signature(secret: &[u8], body: &[u8]) -> String {
    use hmac::{Hmac, Mac};
    // A key of any length is good: no error comes.
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(secret) else {
        return String::new();
    };
    mac.update(body);
    let digits: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256={digits}")
}

#[cfg(not(feature = "notify"))]
fn signature(_: &[u8], _: &[u8]) -> String {
    String::new()
}

#[cfg(test)]
#[cfg(feature = "notify")]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let of = |key: &[u8], data: &[u8]| signature(key, data);
        assert_eq!(
            of(b"Jefe", b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            of(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First"),
            "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
