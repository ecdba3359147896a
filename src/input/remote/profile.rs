//! Asking the AWS CLI, which knows every kind of profile (SSO, assumed roles, processes, MFA).
//!
//! In: the words of a command. Out: what it printed, or why there is nothing, in words that hold no credential: the CLI
//! repeats what a process named in a profile prints, so whatever looks like a key is struck out. It is waited for so long
//! and no longer, and no more is taken of what it prints than keys need.

use crate::net::printable;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// So long the CLI is waited for: it may ask an identity provider, but nobody can type a code here.
const PATIENCE: Duration = Duration::from_secs(60);
/// More is not taken of what it prints.
const MOST: u64 = 64 << 10;
/// Characters of what the CLI said last that are repeated.
const SAID: usize = 200;

/// What `aws ARGUMENTS` prints for a profile.
pub(super) fn aws(arguments: &[&str], profile: Option<&str>) -> Result<String, String> {
    let mut command = Command::new("aws");
    command.args(arguments);
    command.args(profile.iter().flat_map(|p| ["--profile", *p]));
    told(command, &format!("aws {}", arguments.join(" ")), PATIENCE)
}

fn told(mut command: Command, name: &str, patience: Duration) -> Result<String, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let missing = "the AWS CLI (`aws`), which is asked for the profile's credentials, was not found";
    let mut child = command.spawn().map_err(|_| missing)?;
    let (out, err) = (taken(child.stdout.take()), taken(child.stderr.take()));
    let until = Instant::now() + patience;
    let left = || until.saturating_duration_since(Instant::now());
    let late = || format!("`{name}` did not end within {} seconds", patience.as_secs());
    let status = ended(&mut child, until).ok_or_else(late)?;
    if !status.success() {
        let said = err.recv_timeout(left()).unwrap_or_default();
        return Err(format!("`{name}` failed: {}", last(&said)));
    }
    let out = out.recv_timeout(left()).map_err(|_| late())?;
    String::from_utf8(out).map_err(|_| format!("`{name}` printed no text"))
}

/// What a pipe gives, at most [`MOST`] bytes; whoever writes more finds it closed.
fn taken(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(MOST).read_to_end(&mut all);
        }
        let _ = send.send(all);
    });
    receive
}

/// How it ended; nothing if it had to be ended, because it did not in time.
fn ended(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// The end of what was said, without what may be a key.
fn last(said: &[u8]) -> String {
    let said = struck(&printable(said.trim_ascii()));
    let from = said.char_indices().rev().nth(SAID - 1).map_or(0, |(at, _)| at);
    said.get(from..).unwrap_or_default().to_string()
}

/// Strikes out what may be a key, a secret or a token: long words of base 64, shorter ones with capitals and digits.
fn struck(text: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let secret = |word: &str| {
        let has = |f: fn(&char) -> bool| word.chars().any(|c| f(&c));
        word.len() >= 30 || word.len() >= 16 && has(char::is_ascii_uppercase) && has(char::is_ascii_digit)
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| inside(c) != inside(first)).unwrap_or(rest.len());
        let (word, more) = rest.split_at(end);
        out.push_str(if inside(first) && secret(word) {
            "[struck out]"
        } else {
            word
        });
        rest = more;
    }
    out
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Duration) -> Result<String, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        told(command, "aws x", patience)
    }

    #[test]
    fn what_hangs_is_ended() {
        let begun = Instant::now();
        let late = sh("echo half; sleep 600", Duration::from_millis(300));
        assert_eq!(late.unwrap_err(), "`aws x` did not end within 0 seconds");
        // Ended, but something that it started keeps its output open.
        let late = sh("sleep 5 & echo half", Duration::from_millis(300));
        assert!(late.unwrap_err().contains("did not end"));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }

    #[test]
    fn what_never_stops_talking_is_not_heard_out() {
        let patience = Duration::from_secs(60);
        let endless = sh(
            "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa || exit 1; done",
            patience,
        );
        assert!(endless.unwrap_err().starts_with("`aws x` failed"));
    }

    #[test]
    fn what_failed_is_told_without_keys() {
        let said = "The config profile (audit) could not be found: AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let failed = sh(&format!("echo '{said}' >&2; exit 255"), Duration::from_secs(60)).unwrap_err();
        let expected = "`aws x` failed: The config profile (audit) could not be found: [struck out] [struck out]";
        assert_eq!(failed, expected);
        let arn = "User: arn:aws:iam::111122223333:user/j.rivera is not authorized to perform: sts:AssumeRole";
        assert_eq!(struck(arn), arn);
        assert!(last("é\u{1b}[31m".repeat(500).as_bytes()).chars().count() <= SAID);
    }
}
