//! One bucket: signed requests, tried again where that helps, each answer checked before it is believed.
//!
//! object_store gives credentials and signatures; its listing and reading are not used, because a key with `//`, a control
//! character or `..` makes its whole page an error, and because a range that a server ignores must be noticed here.

use crate::error::{Error, Result};
use crate::input::remote::RemoteOptions;
use crate::input::remote::fault::{Fault, PATIENCE, TRIES, wait};
use crate::input::remote::keys::{Keys, variable};
use crate::net::printable;
use bytes::Bytes;
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

/// A bucket and the way to it.
pub(super) struct Bucket {
    pub(super) name: String,
    endpoint: Option<String>,
    region: Mutex<String>,
    keys: Keys,
    client: HttpClient,
    /// Requests under way; one that waits for another try keeps its place, so throttling slows all down.
    places: Semaphore,
    /// Why nothing more is to be had.
    closed: OnceLock<String>,
}

/// A request's answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    content_range: Option<String>,
    etag: Option<String>,
}

const PLACES: usize = 32;
const DEFAULT_REGION: &str = "us-east-1";

/// The threads that wait for the network.
pub(super) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let start = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(2)
            .thread_name("flowtrail-s3")
            .enable_all()
            .build()
    };
    let started = RUNTIME.get_or_init(start).as_ref();
    started.map_err(|e| Error::usage(format!("cannot start the threads for S3: {e}")))
}

impl Bucket {
    pub(super) fn open(name: &str, options: &RemoteOptions) -> Result<Arc<Self>> {
        let given = options.endpoint.clone();
        let endpoint = given
            .or_else(|| variable("AWS_ENDPOINT_URL_S3"))
            .or_else(|| variable("AWS_ENDPOINT_URL"));
        if let Some(endpoint) = &endpoint {
            check_endpoint(endpoint)?;
        }
        // Another part of the program may have installed one: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(20))
            .build()
            .map_err(|_| Error::usage("cannot set up TLS: no root certificates"))?;
        let _entered = runtime()?.enter();
        let keys = Keys::find(options.profile.as_deref(), name)?;
        let region = keys.region(options.region.as_deref());
        Ok(Arc::new(Bucket {
            name: name.to_string(),
            endpoint,
            region: Mutex::new(region.unwrap_or_else(|| DEFAULT_REGION.into())),
            keys,
            client: HttpClient::new(client),
            places: Semaphore::new(PLACES),
            closed: OnceLock::new(),
        }))
    }

    /// A page of the listing.
    pub(super) async fn list(&self, query: &str) -> std::result::Result<Bytes, Fault> {
        let check = |a: Answer| {
            if a.status == 200 {
                Ok(a.body)
            } else {
                Err(Fault::again("no listing"))
            }
        };
        self.ask("", query, None, Duration::from_secs(60), check).await
    }

    /// Bytes of an object of known size and tag, exactly as many as asked for.
    pub(super) async fn get(
        &self,
        key: &str,
        range: Range<u64>,
        size: u64,
        etag: &str,
    ) -> std::result::Result<Bytes, Fault> {
        let patience = Duration::from_secs(30 + (range.end - range.start) / 100_000);
        let wanted = Some((range.clone(), etag));
        self.ask(key, "", wanted, patience, |a| a.checked(&range, size, etag))
            .await
    }

    /// The same, and the tag of the content that the bytes are of.
    pub(super) async fn get_tagged(
        &self,
        key: &str,
        range: Range<u64>,
        size: u64,
        etag: &str,
    ) -> std::result::Result<(Bytes, Option<String>), Fault> {
        let wanted = Some((range.clone(), etag));
        let check = |a: Answer| {
            let tag = a.etag.clone();
            Ok((a.checked(&range, size, etag)?, tag))
        };
        self.ask(key, "", wanted, Duration::from_secs(30), check).await
    }

    /// Asks until there is an answer that `check` believes.
    async fn ask<R>(
        &self,
        key: &str,
        query: &str,
        wanted: Option<(Range<u64>, &str)>,
        each: Duration,
        check: impl Fn(Answer) -> std::result::Result<R, Fault>,
    ) -> std::result::Result<R, Fault> {
        let _place = self.places.acquire().await;
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            if let Some(reason) = self.closed.get() {
                return Err(Fault::Access(reason.clone()));
            }
            tries += 1;
            let once = tokio::time::timeout(each, self.once(key, query, wanted.as_ref())).await;
            let answer = once.unwrap_or_else(|_| Err(Fault::again("too slow an answer")));
            match answer.and_then(&check) {
                Err(Fault::Region(region)) if tries < 3 && self.endpoint.is_none() => self.set_region(region),
                Err(Fault::Again { after, reason }) if tries < TRIES && begun.elapsed() < PATIENCE => {
                    let pause = wait(tries, after);
                    let key = printable(key.as_bytes());
                    tracing::info!(bucket = self.name, %key, tries, ?pause, reason, "asking S3 again");
                    tokio::time::sleep(pause).await;
                }
                Err(Fault::Access(reason)) => {
                    tracing::warn!(bucket = self.name, reason, "S3 is not asked any more");
                    return Err(Fault::Access(self.closed.get_or_init(|| reason).clone()));
                }
                result => return result,
            }
        }
    }

    async fn once(
        &self,
        key: &str,
        query: &str,
        wanted: Option<&(Range<u64>, &str)>,
    ) -> std::result::Result<Answer, Fault> {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let url = self.url(&region, key, query);
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() = url.parse().map_err(|_| Fault::Object("its key makes no URL".into()))?;
        if let Some((range, etag)) = wanted {
            let mut set = |name: &'static str, value: String| {
                if let Ok(value) = value.parse() {
                    request.headers_mut().insert(name, value);
                }
            };
            set(
                "range",
                format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
            );
            if !etag.is_empty() {
                set("if-match", etag.to_string());
            }
        }
        let keys = self.keys.get().await.map_err(Fault::Access)?;
        let signed = AwsAuthorizer::new(&keys, "s3", &region).try_authorize(&mut request, None);
        signed.map_err(|_| Fault::Access("the credentials cannot sign a request".into()))?;
        let host = request.uri().authority().map_or_else(String::new, ToString::to_string);
        let response = self.client.execute(request).await;
        let response = response.map_err(|e| Fault::of_connection(&e, &host))?;
        let (parts, body) = response.into_parts();
        let header = |name: &str| {
            parts
                .headers
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(str::to_string)
        };
        let body = body.bytes().await.map_err(|e| Fault::of_connection(&e, &host))?;
        let status = parts.status.as_u16();
        if !(200..300).contains(&status) {
            let text = String::from_utf8_lossy(body.get(..4_096).unwrap_or(&body)).into_owned();
            let (region, after) = (header("x-amz-bucket-region"), header("retry-after"));
            return Err(Fault::of_status(status, &text, region.as_deref(), after.as_deref()));
        }
        Ok(Answer {
            status,
            body,
            content_range: header("content-range"),
            etag: header("etag"),
        })
    }

    fn set_region(&self, region: String) {
        *self.region.lock().unwrap_or_else(PoisonError::into_inner) = region;
    }

    fn url(&self, region: &str, key: &str, query: &str) -> String {
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let host = match &self.endpoint {
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), self.name),
            // The certificate of virtual hosts covers one label.
            None if self.name.contains('.') => format!("https://s3.{region}.{domain}/{}", self.name),
            None => format!("https://{}.s3.{region}.{domain}", self.name),
        };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{host}/{}{mark}{query}", encode(key, true))
    }
}

impl Answer {
    /// The bytes of `range`, or why these are not they.
    fn checked(self, range: &Range<u64>, size: u64, etag: &str) -> std::result::Result<Bytes, Fault> {
        if self.etag.as_deref().is_some_and(|e| !etag.is_empty() && e != etag) {
            return Err(Fault::Object("it changed after it was listed".into()));
        }
        let length = self.body.len() as u64;
        let stated = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
        match self.status {
            206 if self.content_range.as_deref() != Some(&stated) => Err(Fault::again("another range than asked for")),
            206 if length != range.end - range.start => Err(Fault::again("a body of another length than stated")),
            206 => Ok(self.body),
            // The range was ignored: of the whole object only the part that was asked for is taken.
            200 if length == size && self.etag.is_some() => {
                let part = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.body.len());
                Ok(self.body.slice(part(range.start)..part(range.end)))
            }
            _ => Err(Fault::again("an answer that is not the object")),
        }
    }
}

/// Percent-encodes all but RFC 3986's unreserved bytes; slashes stay in a path.
pub(super) fn encode(text: &str, path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') || path && b == b'/' {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Plain http shows every record to the network: it is for this machine only.
fn check_endpoint(endpoint: &str) -> Result<()> {
    // With the host's end: `http://127.0.0.1.example.com` is not this machine, nor what stands behind an `@`.
    let authority = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_string();
    let host = |a: String| match a.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host.to_string(),
        _ => a,
    };
    let is_local = |h: String| {
        let loopback = |ip: std::net::IpAddr| ip.is_loopback();
        h == "localhost" || h.trim_matches(['[', ']']).parse().is_ok_and(loopback)
    };
    let allowed = variable("AWS_ALLOW_HTTP").is_some_and(|v| v == "true" || v == "1");
    if endpoint.starts_with("https://")
        || allowed
        || endpoint
            .strip_prefix("http://")
            .map(authority)
            .map(host)
            .is_some_and(is_local)
    {
        return Ok(());
    }
    Err(Error::usage(
        "the endpoint must be https://, or http:// on this machine (AWS_ALLOW_HTTP=true allows others)",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str, range: Option<&str>, etag: Option<&str>) -> Answer {
        Answer {
            status,
            body: Bytes::from_static(body.as_bytes()),
            content_range: range.map(str::to_string),
            etag: etag.map(str::to_string),
        }
    }

    #[test]
    fn only_the_bytes_that_were_asked_for_are_believed() {
        let check = |a: Answer| a.checked(&(2..5), 8, "\"t\"");
        let good = check(answer(206, "cde", Some("bytes 2-4/8"), Some("\"t\"")));
        assert_eq!(good.unwrap(), "cde");
        let whole = check(answer(200, "abcdefgh", None, Some("\"t\"")));
        assert_eq!(whole.unwrap(), "cde", "a range that was ignored");
        for (again, why) in [
            (answer(206, "abc", Some("bytes 0-2/8"), Some("\"t\"")), "another range"),
            (answer(206, "cd", Some("bytes 2-4/8"), Some("\"t\"")), "a short body"),
            (
                answer(200, "<Error/>", None, None),
                "an error with status 200, as long as the object",
            ),
        ] {
            assert!(matches!(check(again), Err(Fault::Again { .. })), "{why}");
        }
        let changed = check(answer(206, "cde", Some("bytes 2-4/8"), Some("\"u\"")));
        assert!(matches!(changed, Err(Fault::Object(_))));
    }

    #[test]
    fn keys_are_encoded_once_and_slashes_stay() {
        assert_eq!(encode("a//b c+\u{1b}ü", true), "a//b%20c%2B%1B%C3%BC");
        assert_eq!(encode("a/b", false), "a%2Fb");
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        assert!(check_endpoint("http://127.0.0.1:9000").is_ok());
        assert!(check_endpoint("https://s3.example.com").is_ok());
        for elsewhere in [
            "http://s3.example.com",
            "http://127.0.0.1.example.com:80/",
            "http://localhost.example.com",
            "http://localhost:1@example.com",
            "http://127.0.0.1@example.com/",
        ] {
            assert!(check_endpoint(elsewhere).is_err(), "{elsewhere}");
        }
        for here in ["http://localhost", "http://[::1]:9000/", "http://127.0.0.2:80/x"] {
            assert!(check_endpoint(here).is_ok(), "{here}");
        }
    }
}
