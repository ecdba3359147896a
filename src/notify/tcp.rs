//! Carries a frame over TCP, plain or with TLS, and learns whether it was read.
//!
//! A log collector never answers. What there is: after the last byte our side is closed, and a receiver that has read all
//! of it closes its own. That end of the stream counts as taken; a reset, or none in time, leaves it open whether the frame
//! was read. Plain TCP goes to this machine only, unless the target allows it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::{Answer, Target};
use crate::error::Result;

/// An address, and how it is spoken to.
#[derive(Debug)]
pub(super) struct Wire {
    host: String,
    port: u16,
    tls: bool,
    timeout: Duration,
}

impl Wire {
    /// Makes ready to send to the target's `address`; nothing is sent.
    pub(super) fn open(target: &Target) -> Result<Wire> {
        let address = target.text("address").unwrap_or_default();
        let parts = address.rsplit_once(':').and_then(|(h, p)| Some((h, p.parse().ok()?)));
        let (host, port) = parts.ok_or_else(|| target.wrong("address", "is needed, as HOST:PORT"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let tls = target.is_on("tls");
        if !tls && !is_here(host) && !target.is_on("allow-plain") {
            let what = "is another machine: set tls = true (allow-plain = true sends it in the clear)";
            return Err(target.wrong("address", what));
        }
        if tls && !cfg!(feature = "notify") {
            return Err(target.wrong("tls", "this flowtrail was built without the feature `notify`"));
        }
        Ok(Wire {
            host: host.to_owned(),
            port,
            tls,
            timeout: target.timeout,
        })
    }

    /// One connection, one frame.
    pub(super) fn send(&self, frame: &[u8]) -> Answer {
        let again = |reason, unsure| Answer::Again {
            reason,
            after: None,
            unsure,
        };
        match self.open_line() {
            Err(e) => again(format!("no connection to {} ({e})", self.host), false),
            Ok(line) => match line.carry(frame) {
                Ok(()) => Answer::Taken,
                Err(e) => again(
                    format!("the connection ended before all was known to be read ({e})"),
                    true,
                ),
            },
        }
    }

    /// A connection over which a frame may go: with TLS, its hand shaken.
    fn open_line(&self) -> io::Result<Line> {
        let stream = self.connect()?;
        match self.tls {
            true => secured(&self.host, stream),
            false => Ok(Line::Plain(stream)),
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(self.timeout))?;
                    stream.set_write_timeout(Some(self.timeout))?;
                    return Ok(stream);
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

/// An open connection.
enum Line {
    Plain(TcpStream),
    #[cfg(feature = "notify")]
    Secured(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
}

impl Line {
    /// Sends the frame, closes our side and waits for the other's end.
    fn carry(self, frame: &[u8]) -> io::Result<()> {
        match self {
            Line::Plain(mut stream) => {
                stream.write_all(frame)?;
                stream.shutdown(Shutdown::Write)?;
                until_end(&mut stream)
            }
            #[cfg(feature = "notify")]
            Line::Secured(mut stream) => {
                stream.write_all(frame)?;
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)?;
                match until_end(&mut stream) {
                    // Closed without TLS's own good-bye, as many collectors do: everything of ours was read before.
                    Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
                    other => other,
                }
            }
        }
    }
}

/// Reads until the other side closes; it has nothing to say, so a little is enough.
fn until_end(stream: &mut impl Read) -> io::Result<()> {
    const MOST: u64 = 4_096;
    let mut rest = Vec::new();
    stream.take(MOST).read_to_end(&mut rest)?;
    Ok(())
}

#[cfg(feature = "notify")]
fn secured(host: &str, mut stream: TcpStream) -> io::Result<Line> {
    use rustls::{ClientConfig, ClientConnection, StreamOwned};
    use rustls_platform_verifier::ConfigVerifierExt;
    use std::sync::Arc;

    // Another part of the program may have installed one: any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ClientConfig::with_platform_verifier().map_err(io::Error::other)?;
    let name = host.to_owned().try_into().map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(Line::Secured(Box::new(StreamOwned::new(connection, stream))))
}

#[cfg(not(feature = "notify"))]
fn secured(_: &str, _: TcpStream) -> io::Result<Line> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True for names of this machine.
pub(super) fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|a: IpAddr| a.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_machines_want_tls() {
        let open = |more: &str| {
            let table = format!("kind = \"syslog\"\n{more}").parse().unwrap();
            Wire::open(&Target::read("t", &table).unwrap())
        };
        assert!(open("address = \"127.0.0.1:514\"").is_ok() && open("address = \"[::1]:514\"").is_ok());
        assert!(open("address = \"logs.example.com:6514\"\ntls = true").is_ok_and(|w| w.port == 6514));
        assert!(open("address = \"logs.example.com:514\"\nallow-plain = true").is_ok());
        for bad in [
            "",
            "address = \"logs.example.com:514\"",
            "address = \"127.0.0.1\"",
            "address = \"127.0.0.1:x\"",
        ] {
            assert!(
                open(bad).unwrap_err().to_string().starts_with("[notify.t] address: "),
                "{bad}"
            );
        }
    }
}
