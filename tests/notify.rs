//! `scan --notify` against receivers on loopback that misbehave: errors, silence, cut connections, redirections.
//!
//! The receivers are written here and note what arrived. Waiting between tries is the caller's, so the library's tests wait
//! for nothing; a receiver that is silent is given up after the target's own time-out, which is short here.

#![cfg(feature = "notify")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use flowtrail::notify::{Journal, Notice, Target, Told, deliver};
use serde_json::{Value, json};

const CANARY: &str = "CANARYsecret0123456789";

/// What a receiver does with a request that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Takes it and answers.
    Take,
    /// Answers with this status.
    Say(u16),
    /// Takes it, and never answers.
    TakeAndHang,
    /// Takes it, and closes without an answer.
    TakeAndCut,
    /// Closes before it has read anything.
    Drop,
}

#[derive(Debug, Clone)]
struct Request {
    head: String,
    body: Vec<u8>,
    taken: bool,
}

/// A receiver on loopback: deeds in their order, then `Take`.
struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
    held: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn new(deeds: &[Deed]) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, held) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (see, hold) = (seen.clone(), held.clone());
        let mut deeds: VecDeque<Deed> = deeds.iter().copied().collect();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let deed = deeds.pop_front().unwrap_or(Deed::Take);
                if !serve(stream, deed, &see, &hold) {
                    return;
                }
            }
        });
        Receiver {
            port,
            seen,
            held,
            thread: Some(thread),
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{CANARY}", self.port)
    }

    fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How often each key was taken; what a receiver that keeps ids makes of it has each key once.
    fn taken(&self, key: &str) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for request in self.requests().iter().filter(|r| r.taken) {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            *all.entry(body[key].as_str().unwrap().to_string()).or_default() += 1;
        }
        all
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.held.lock().unwrap().clear();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.write_all(b"STOP / HTTP/1.1\r\n\r\n");
        }
        self.thread.take().map(JoinHandle::join);
    }
}

/// False if it is to stop.
fn serve(stream: TcpStream, deed: Deed, seen: &Mutex<Vec<Request>>, held: &Mutex<Vec<TcpStream>>) -> bool {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    if deed == Deed::Drop {
        let mut one = [0];
        let stop = reader.read(&mut one).is_ok() && one == *b"S";
        return !stop;
    }
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return true;
        }
    }
    if head.starts_with("STOP") {
        return false;
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split_once("content-length: ").unwrap().1;
    let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let taken = !matches!(deed, Deed::Say(_));
    seen.lock().unwrap().push(Request {
        head: lower,
        body,
        taken,
    });
    let mut stream = stream;
    match deed {
        Deed::Take => drop(stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok")),
        Deed::Say(status) => {
            let text = format!(
                "HTTP/1.1 {status} No\r\nretry-after: 7\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
            );
            drop(stream.write_all(text.as_bytes()));
        }
        Deed::TakeAndHang => held.lock().unwrap().push(stream),
        Deed::TakeAndCut => drop(stream.shutdown(Shutdown::Both)),
        Deed::Drop => {}
    }
    true
}

fn notices(ids: &[&str]) -> Vec<Notice> {
    let one = |id: &&str| {
        Notice::of(
            json!({"schema": "flowtrail.finding/1", "id": id, "title": "t", "severity": "high", "rule": "tor-egress",
            "principals": [{"arn": "a", "access_key": "AKIAIOSFODNN7EXAMPLE"}]}),
        )
        .unwrap()
    };
    ids.iter().map(one).collect()
}

/// A run of the library: the table's keys, the incidents. Seconds waited for, and how it went.
fn run(journal: &Path, kind: &str, url: &str, more: &str, incidents: &[Notice]) -> (Told, Vec<u64>) {
    let settings = match kind {
        "pagerduty" => format!("url = \"{url}\"\nkey-env = \"KEY\""),
        "slack" => "url-env = \"URL\"".to_owned(),
        _ => "url-env = \"URL\"\nsecret-env = \"KEY\"".to_owned(),
    };
    let table = format!("kind = \"{kind}\"\ntimeout = 0.5\n{settings}\n{more}")
        .parse()
        .unwrap();
    let variables = |name: &str| match name {
        "KEY" => Some(CANARY.to_string()),
        "URL" => Some(url.to_string()),
        _ => None,
    };
    let sender = Target::read("t", &table).unwrap().open(&variables).unwrap();
    assert!(!format!("{sender:?}").contains(CANARY), "a secret in {sender:?}");
    let mut journal = Journal::open(journal).unwrap();
    let mut waits = Vec::new();
    let told = deliver(&[sender], incidents, &mut journal, &mut |d| waits.push(d.as_secs())).unwrap();
    let told = told.into_iter().next().unwrap();
    assert!(!format!("{told:?}").contains(CANARY), "a secret in {told:?}");
    (told, waits)
}

#[test]
fn receivers_that_keep_ids_have_each_incident_once_whatever_goes_wrong() {
    use Deed::{Drop, Say, Take, TakeAndCut, TakeAndHang};
    let mishaps = [
        Say(500),
        TakeAndHang,
        Drop,
        TakeAndCut,
        Say(503),
        Take,
        TakeAndHang,
        Say(429),
        Take,
        Take,
    ];
    for (kind, key) in [("pagerduty", "dedup_key"), ("webhook", "id")] {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("j");
        let receiver = Receiver::new(&mishaps);
        let ids = ["inc-1", "inc-2", "inc-3"];
        let (told, waits) = run(&journal, kind, &receiver.url(), "tries = 9", &notices(&ids));
        assert_eq!((told.sent, told.waiting), (3, 0), "{kind}: {told:?}");
        assert_eq!(waits.len(), 7, "{kind}");
        assert_eq!(
            waits.iter().filter(|s| **s == 7).count(),
            3,
            "what the receiver asks for is heeded"
        );
        let keys: Vec<String> = receiver.taken(key).into_keys().collect();
        assert_eq!(keys, ids, "{kind}");
        let before = receiver.requests().len();
        let (told, _) = run(&journal, kind, &receiver.url(), "", &notices(&ids));
        assert_eq!((told.sent, told.known), (0, 3));
        assert_eq!(receiver.requests().len(), before, "{kind}: a later run sends nothing");
    }
}

#[test]
fn errors_that_say_not_taken_make_no_second_message_in_slack() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[Deed::Say(500), Deed::Say(429), Deed::Take, Deed::Say(503)]);
    let (told, _) = run(
        &folder.path().join("j"),
        "slack",
        &receiver.url(),
        "",
        &notices(&["inc-1", "inc-2"]),
    );
    assert_eq!(told.sent, 2);
    let taken: Vec<Request> = receiver.requests().into_iter().filter(|r| r.taken).collect();
    assert_eq!(taken.len(), 2, "one message an incident");
    for request in taken {
        let message: Value = serde_json::from_slice(&request.body).unwrap();
        assert!(
            message["blocks"][0]["text"]["text"]
                .as_str()
                .unwrap()
                .starts_with("HIGH: ")
        );
        assert!(!message.to_string().contains("AKIAIOSFODNN7EXAMPLE"));
    }
}

#[test]
fn a_message_whose_reply_is_lost_is_sent_again_and_says_so_or_is_held() {
    for deed in [Deed::TakeAndHang, Deed::TakeAndCut] {
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::new(&[deed]);
        let (told, _) = run(
            &folder.path().join("j"),
            "slack",
            &receiver.url(),
            "",
            &notices(&["inc-1"]),
        );
        assert_eq!(told.sent, 1);
        let bodies: Vec<String> = receiver
            .requests()
            .iter()
            .map(|r| String::from_utf8_lossy(&r.body).into())
            .collect();
        let says = bodies.iter().map(|b| b.contains("Sent again")).collect::<Vec<_>>();
        assert_eq!(says, [false, true], "{deed:?}");

        let held = folder.path().join("held");
        let receiver = Receiver::new(&[deed]);
        let hold = "if-unsure = \"hold\"";
        let (told, waits) = run(&held, "slack", &receiver.url(), hold, &notices(&["inc-1"]));
        assert_eq!((told.sent, told.waiting, waits.len()), (0, 1, 0));
        let (told, _) = run(&held, "slack", &receiver.url(), hold, &notices(&["inc-1"]));
        assert_eq!((told.sent, told.held), (0, 1));
        assert_eq!(receiver.requests().len(), 1, "{deed:?}: never twice");
    }
}

#[test]
fn a_receiver_that_is_down_costs_its_tries_and_the_next_run_makes_up_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("j");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{closed}/{CANARY}");
    let (told, waits) = run(
        &journal,
        "webhook",
        &url,
        "tries = 3",
        &notices(&["inc-1", "inc-2", "inc-3"]),
    );
    assert_eq!((told.sent, told.waiting, waits.len()), (0, 3, 2));
    assert!(told.reason.unwrap().starts_with("no connection"));
    let receiver = Receiver::new(&[]);
    let (told, _) = run(&journal, "webhook", &receiver.url(), "", &notices(&["inc-2"]));
    assert_eq!((told.sent, told.known), (3, 0));
    assert_eq!(receiver.taken("id").len(), 3);
}

#[test]
fn a_redirection_carries_nothing_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[Deed::Say(307), Deed::Say(404)]);
    let (told, waits) = run(
        &folder.path().join("j"),
        "webhook",
        &receiver.url(),
        "",
        &notices(&["inc-1", "inc-2"]),
    );
    assert_eq!((told.sent, told.waiting, waits.len()), (0, 2, 0));
    assert!(told.reason.unwrap().contains("redirection"));
    assert_eq!(receiver.requests().len(), 2);
}

#[test]
fn a_webhook_gets_the_finding_its_key_and_a_signature_of_these_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[]);
    run(
        &folder.path().join("j"),
        "webhook",
        &receiver.url(),
        "",
        &notices(&["inc-1"]),
    );
    let request = receiver.requests().remove(0);
    assert!(request.head.starts_with("post /canary"), "{}", request.head);
    assert!(
        request.head.contains("idempotency-key: \"inc-1\"\r\n")
            && request.head.contains("content-type: application/json\r\n")
    );
    let (_, signed) = request.head.split_once("x-flowtrail-signature-256: ").unwrap();
    assert_eq!(
        signed.lines().next().unwrap(),
        hmac_by_hand(CANARY.as_bytes(), &request.body)
    );
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body["principals"][0]["access_key"], "AKIAIOSFODNN7EXAMPLE",
        "machines join by whole keys"
    );
}

/// RFC 2104, step by step: the slow twin of the library's.
fn hmac_by_hand(key: &[u8], text: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.iter().map(|b| b ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    format!(
        "sha256={}",
        outer.iter().map(|b| format!("{b:02x}")).collect::<String>()
    )
}

/// A collector that reads frames as RFC 6587 counts them; the first connection is reset unread.
#[test]
fn a_syslog_frame_that_was_not_read_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let collector = std::thread::spawn(move || {
        // Closed with bytes unread: the sender sees a reset, not an end.
        let (first, _) = listener.accept().unwrap();
        first.peek(&mut [0; 8]).unwrap();
        drop(first);
        let (mut second, _) = listener.accept().unwrap();
        let mut all = String::new();
        second.read_to_string(&mut all).unwrap();
        all
    });
    let folder = tempfile::tempdir().unwrap();
    let table = format!(
        "kind = \"syslog\"\naddress = \"127.0.0.1:{port}\"\nfacility = \"auth\"\nhostname = \"h\"\ntimeout = 5"
    );
    let sender = Target::read("t", &table.parse().unwrap())
        .unwrap()
        .open(&|_| None)
        .unwrap();
    let mut journal = Journal::open(&folder.path().join("j")).unwrap();
    let told = deliver(&[sender], &notices(&["inc-1"]), &mut journal, &mut |_| {}).unwrap();
    assert_eq!(told[0].sent, 1, "{told:?}");
    let all = collector.join().unwrap();
    let (count, message) = all.split_once(' ').unwrap();
    assert_eq!(count.parse::<usize>().unwrap(), message.len());
    assert!(
        message.starts_with("<35>1 - h flowtrail - tor-egress [flowtrail@32473 "),
        "{message}"
    );
    assert!(
        message.contains(" id=\"inc-1\"") && message.contains(" repeated=\"yes\"]"),
        "{message}"
    );
}

/// Who cannot be trusted is told nothing, so there is no doubt whether it arrived.
#[test]
fn a_collector_without_a_good_certificate_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let collector = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"this is no TLS\n").unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    });
    let folder = tempfile::tempdir().unwrap();
    let table =
        format!("kind = \"syslog\"\naddress = \"localhost:{port}\"\ntls = true\ntries = 1\nif-unsure = \"hold\"");
    let sender = Target::read("t", &table.parse().unwrap())
        .unwrap()
        .open(&|_| None)
        .unwrap();
    let mut journal = Journal::open(&folder.path().join("j")).unwrap();
    let told = deliver(&[sender], &notices(&["inc-1"]), &mut journal, &mut |_| {}).unwrap();
    assert_eq!((told[0].sent, told[0].waiting), (0, 1), "{told:?}");
    assert!(!journal.waiting("t")[0].2, "it may be sent by the next run");
    assert!(!collector.join().unwrap().contains("inc-1"));
}

/// `just notify` keeps what a real rsyslogd parsed of these incidents: the messages are still those that it was sent.
#[test]
fn the_messages_are_those_that_a_real_collector_parsed() {
    let lines = |name: &str| -> Vec<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/notify")
            .join(name);
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let parsed = lines("rsyslog.ndjson");
    let incidents: Vec<Notice> = lines("incidents.ndjson")
        .into_iter()
        .map(|i| Notice::of(i).unwrap())
        .collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = incidents.len();
    let collector = std::thread::spawn(move || {
        let one = |_| {
            let mut text = String::new();
            listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
            text.split_once(' ').unwrap().1.to_string()
        };
        (0..count).map(one).collect::<std::collections::BTreeSet<String>>()
    });
    let table = format!(
        "kind = \"syslog\"\naddress = \"127.0.0.1:{port}\"\nfacility = \"auth\"\nhostname = \"scanner\"\nmin-severity = \"low\""
    );
    let sender = Target::read("t", &table.parse().unwrap())
        .unwrap()
        .open(&|_| None)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("j")).unwrap();
    let told = deliver(&[sender], &incidents, &mut journal, &mut |_| {}).unwrap();
    assert_eq!((told[0].sent, parsed.len()), (count, count));
    let raw = |r: &Value| r["raw"].as_str().unwrap().to_string();
    let sent = collector.join().unwrap();
    let other = parsed.iter().map(raw).find(|r| !sent.contains(r));
    assert!(other.is_none(), "no longer sent: {other:?}");
    for incident in &incidents {
        let of = |r: &&Value| r["rfc5424-sd"]["flowtrail@32473"]["id"] == incident.id.as_str();
        let fields = &parsed.iter().find(of).unwrap()["rfc5424-sd"]["flowtrail@32473"];
        for (name, value) in incident
            .finding
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, v)| v.is_string())
        {
            assert_eq!(&fields[name], value, "{name}");
        }
        let listed = fields["destinations"].as_str().unwrap_or("[]");
        let listed: Value = serde_json::from_str(listed).unwrap();
        assert_eq!(listed, incident.finding["destinations"]);
    }
}

/// The program over a small account, as people start it.
#[test]
fn the_program_tells_each_incident_once_and_nothing_unasked() {
    let account = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/account");
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::new(&[Deed::Say(500)]);
    let config = folder.path().join("flowtrail.toml");
    let text = format!(
        "[notify.hook]\nkind = \"webhook\"\nurl = \"{}\"\nmin-severity = \"medium\"\n",
        receiver.url()
    );
    std::fs::write(&config, text).unwrap();
    let scan = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowtrail"));
        command
            .arg("scan")
            .arg(account.join("flow"))
            .arg("--trail")
            .arg(account.join("trail"))
            .arg("--config")
            .arg(&config);
        command
            .arg("--notify-journal")
            .arg(folder.path().join("journal"))
            .args(["--format", "ndjson"])
            .args(more);
        let out = command.output().unwrap();
        let all = format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(!all.contains(CANARY), "{all}");
        (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap(), all)
    };
    let (code, found, _) = scan(&[]);
    assert_eq!((code, receiver.requests().len()), (0, 0), "nothing without --notify");
    let loud = |l: &&str| !l.contains("\"severity\":\"low\"") && !l.contains("\"severity\":\"info\"");
    let mut wanted: Vec<Value> = found
        .lines()
        .filter(loud)
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(wanted.len() > 2);
    let (code, _, all) = scan(&["--notify", "hook", "--notify", "hook"]);
    assert_eq!(code, 0, "{all}");
    assert!(all.contains(&format!("notify hook: {} sent", wanted.len())), "{all}");
    let taken = receiver.requests().into_iter().filter(|r| r.taken);
    let mut got: Vec<Value> = taken.map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    let by_id = |v: &Value| v["id"].as_str().unwrap().to_string();
    wanted.sort_by_key(by_id);
    got.sort_by_key(by_id);
    assert_eq!(got, wanted, "the findings, as ndjson has them");
    let (code, _, all) = scan(&["--notify", "hook"]);
    assert_eq!(code, 0);
    assert!(all.contains(&format!("0 sent, {} sent before", wanted.len())), "{all}");
    let (code, _, all) = scan(&["--notify", "hok"]);
    assert!(
        code == 2 && all.contains("no such target") && all.contains("there is hook"),
        "{all}"
    );
}
