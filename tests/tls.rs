//! Who is on the other side of TLS? A server whose certificate nobody vouches for, or that is another's, gets no byte of a
//! request, and the message names the host.
//!
//! `tests/data/tls` holds an authority and a certificate for `localhost` with its key, made for this test alone.

#![cfg(all(feature = "s3", feature = "notify", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use flowtrail::notify::{Journal, Notice, Target, deliver};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

/// A server on this machine that answers every request with an empty listing.
struct Server {
    port: u16,
    /// What it was asked, in the clear.
    asked: Arc<Mutex<String>>,
}

impl Server {
    fn start() -> Server {
        let chain = vec![std::fs::read(data("localhost.der")).unwrap().into()];
        let key = std::fs::read(data("localhost.key.der")).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
        };
        let asked = Arc::clone(&server.asked);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                answer(socket, &config, &asked);
            }
        });
        server
    }
}

fn answer(mut socket: TcpStream, config: &Arc<ServerConfig>, asked: &Mutex<String>) {
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = Stream::new(&mut connection, &mut socket);
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
    }
    asked.lock().unwrap().push_str(&String::from_utf8_lossy(&head));
    let body = r#"<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()));
    connection.send_close_notify();
    let _ = connection.write_tls(&mut socket);
}

/// Asks for a bucket; `trusted` takes the test's authority for one of the system's.
fn list(server: &Server, host: &str, trusted: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
    let endpoint = format!("https://{host}:{}", server.port);
    command.args(["top", "s3://bucket/AWSLogs/", "--endpoint-url", &endpoint]);
    for name in [
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "SSL_CERT_DIR",
    ] {
        command.env_remove(name);
    }
    command.env("AWS_ACCESS_KEY_ID", "AKIACANARY0000000000");
    command
        .env("AWS_SECRET_ACCESS_KEY", "CANARY")
        .env("AWS_REGION", "us-east-1");
    if trusted {
        command.env("SSL_CERT_FILE", data("ca.pem"));
    }
    command.output().unwrap()
}

#[test]
fn s3_is_asked_of_nobody_but_the_host_that_was_named() {
    let server = Server::start();
    for (host, trusted) in [("localhost", false), ("127.0.0.1", true)] {
        let out = list(&server, host, trusted);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(3), "{said}");
        assert!(said.contains(host) && said.contains("certificate"), "{said}");
        assert!(!said.contains("tries"), "it will not be better the next time: {said}");
        assert_eq!(*server.asked.lock().unwrap(), "", "{host} was asked");
    }
    let out = list(&server, "localhost", true);
    let asked = server.asked.lock().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        asked.starts_with("GET /bucket"),
        "the server is asked by those who trust it: {asked} {said}"
    );
}

#[test]
fn a_webhook_without_a_good_certificate_gets_nothing() {
    let server = Server::start();
    let table = format!(
        "kind = \"webhook\"\nurl = \"https://localhost:{}/hook\"\ntries = 1",
        server.port
    );
    let target = Target::read("soc", &table.parse().unwrap()).unwrap();
    let sender = target.open(&|_| None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal")).unwrap();
    let incident = serde_json::json!({"schema": "flowtrail.finding/1", "id": "inc-1", "title": "t", "severity": "high",
        "rule": "tor-egress", "principals": []});
    let notices = vec![Notice::of(incident).unwrap()];
    let told = deliver(&[sender], &notices, &mut journal, &mut |_| {}).unwrap();
    assert_eq!((told[0].sent, told[0].waiting), (0, 1), "{told:?}");
    let said = format!("{told:?}");
    assert!(said.contains("localhost") && said.contains("certificate"), "{said}");
    assert_eq!(*server.asked.lock().unwrap(), "");
}
