//! Carries a message by HTTP: one POST, judged by its status alone.
//!
//! https with the system's root certificates; plain http only to this machine, unless the target allows it. A redirection
//! is not followed, since it would carry the message, and what authorises it, elsewhere. Neither the URL, a header nor the
//! receiver's words reach a message of ours.

use super::{Answer, Target};
use crate::error::Result;

#[cfg(feature = "notify")]
pub(super) use with_feature::Web;
#[cfg(not(feature = "notify"))]
pub(super) use without_feature::Web;

/// A header.
pub(super) type Header = (&'static str, String);

/// What a status says of the message.
#[cfg_attr(not(feature = "notify"), allow(dead_code, reason = "nothing is sent"))]
fn judged(status: u16, after: Option<&str>) -> Answer {
    let reason = format!("the receiver answers {status}");
    match status {
        200..=299 => Answer::Taken,
        // Of these the receiver says itself that it has not taken the message; of other errors on its side nobody knows.
        408 | 425 | 429 | 500..=599 => Answer::Again {
            reason,
            after: after
                .and_then(|s| s.trim().parse().ok())
                .map(std::time::Duration::from_secs),
            unsure: !matches!(status, 408 | 425 | 429 | 503),
        },
        300..=399 => Answer::Refused(format!("{reason}: a redirection, which is not followed")),
        _ => Answer::Refused(reason),
    }
}

#[cfg(feature = "notify")]
mod with_feature {
    use std::error::Error as _;
    use std::time::Duration;

    use reqwest::{Client, Url, redirect};
    use tokio::runtime::Runtime;

    use super::{Answer, Header, Result, Target, judged};
    use crate::error::Error;
    use crate::notify::tcp::is_here;

    /// A URL, and what is needed to send to it.
    pub(in crate::notify) struct Web {
        url: Url,
        client: Client,
        runtime: Runtime,
    }

    impl std::fmt::Debug for Web {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Web(…)")
        }
    }

    impl Web {
        /// Makes ready to send to `url`, which stands in `key` of the target.
        pub(in crate::notify) fn open(target: &Target, key: &str, url: &str) -> Result<Web> {
            let url: Url = url.parse().map_err(|_| target.wrong(key, "is no URL"))?;
            let here = url.host_str().is_some_and(is_here);
            match url.scheme() {
                "https" => {}
                "http" if here || target.is_on("allow-plain") => {}
                _ => {
                    let what = "must be https://, or http:// on this machine (allow-plain = true allows others)";
                    return Err(target.wrong(key, what));
                }
            }
            // Another part of the program may have installed one: any will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut builder = Client::builder()
                .user_agent(concat!("flowtrail/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .pool_max_idle_per_host(0)
                .connect_timeout(target.timeout)
                .timeout(target.timeout);
            if here {
                builder = builder.no_proxy();
            }
            let client = builder.build();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            Ok(Web {
                url,
                client: client.map_err(|_| target.wrong(key, "cannot set up TLS: no root certificates"))?,
                runtime: runtime.map_err(|e| Error::usage(format!("cannot start what sends: {e}")))?,
            })
        }

        /// One POST of JSON.
        pub(in crate::notify) fn post(&self, headers: &[Header], body: Vec<u8>) -> Answer {
            let mut request = self
                .client
                .post(self.url.clone())
                .header("content-type", "application/json");
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            match self.runtime.block_on(async { request.body(body).send().await }) {
                Ok(response) => {
                    let after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
                    judged(response.status().as_u16(), after)
                }
                Err(e) => broken(&e, self.url.host_str().unwrap_or_default()),
            }
        }
    }

    /// No answer: whether the message may have arrived depends on whether there was a connection.
    fn broken(e: &reqwest::Error, host: &str) -> Answer {
        if e.is_builder() {
            return Answer::Refused("the message cannot be sent: not a header or a URL".into());
        }
        let what = match e {
            e if e.is_connect() => "no connection to",
            e if e.is_timeout() => "no answer in time from",
            _ => "the connection broke to",
        };
        let mut cause: Option<&dyn std::error::Error> = e.source();
        while let Some(next) = cause.and_then(|c| c.source()) {
            cause = Some(next);
        }
        let cause = cause.map_or_else(String::new, |c| format!(" ({c})"));
        Answer::Again {
            reason: format!("{what} {host}{cause}"),
            after: None::<Duration>,
            unsure: !e.is_connect(),
        }
    }
}

#[cfg(not(feature = "notify"))]
mod without_feature {
    use super::{Answer, Header, Result, Target};

    /// A build that sends nothing has none.
    #[derive(Debug)]
    pub(in crate::notify) enum Web {}

    impl Web {
        pub(in crate::notify) fn open(target: &Target, key: &str, _: &str) -> Result<Web> {
            Err(target.wrong(key, "this flowtrail was built without the feature `notify`"))
        }

        pub(in crate::notify) fn post(&self, _: &[Header], _: Vec<u8>) -> Answer {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_status_says_whether_it_was_taken_and_whether_to_try_again() {
        assert_eq!(judged(202, None), Answer::Taken);
        for (status, sure) in [
            (429, true),
            (503, true),
            (408, true),
            (500, false),
            (502, false),
            (504, false),
        ] {
            let Answer::Again { unsure, after, .. } = judged(status, Some("7")) else {
                panic!("{status}")
            };
            assert_eq!((unsure, after), (!sure, Some(Duration::from_secs(7))), "{status}");
        }
        for status in [301, 307, 400, 401, 403, 404, 410, 413] {
            assert!(matches!(judged(status, None), Answer::Refused(_)), "{status}");
        }
    }

    #[test]
    #[cfg(feature = "notify")]
    fn plain_http_is_for_this_machine_unless_allowed() {
        let open = |url: &str, more: &str| {
            let table = format!("kind = \"webhook\"\n{more}").parse().unwrap();
            Web::open(&Target::read("t", &table).unwrap(), "url", url)
        };
        for good in [
            "https://example.com/x",
            "http://127.0.0.1:9/x",
            "http://localhost/x",
            "http://[::1]:9/",
        ] {
            assert!(open(good, "").is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/CANARY",
            "http://127.0.0.1.example.com/",
            "ftp://localhost/",
            "CANARY",
        ] {
            let error = open(bad, "").unwrap_err().to_string();
            assert!(
                error.starts_with("[notify.t] url: ") && !error.contains("CANARY"),
                "{error}"
            );
        }
        assert!(open("http://example.com/x", "allow-plain = true").is_ok());
    }
}
