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
        let (begun, sent) = match self.connect() {
            Ok(stream) => (true, self.through(stream, frame)),
            Err(e) => (false, Err(e)),
        };
        match sent {
            Ok(()) => Answer::Taken,
            Err(e) => Answer::Again {
                reason: if begun {
                    format!("the connection ended before it was known to be read ({})", e.kind())
                } else {
                    format!("no connection ({})", e.kind())
                },
                after: None,
                unsure: begun,
            },
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

    fn through(&self, mut stream: TcpStream, frame: &[u8]) -> io::Result<()> {
        if self.tls {
            return tls(&self.host, stream, frame);
        }
        stream.write_all(frame)?;
        stream.shutdown(Shutdown::Write)?;
        until_end(&mut stream)
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
fn tls(host: &str, stream: TcpStream, frame: &[u8]) -> io::Result<()> {
    use rustls::{ClientConfig, ClientConnection, StreamOwned};
    use rustls_platform_verifier::ConfigVerifierExt;
    use std::sync::Arc;

    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ClientConfig::with_platform_verifier().map_err(io::Error::other)?;
    let name = host.to_owned().try_into().map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
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

#[cfg(not(feature = "notify"))]
fn tls(_: &str, _: TcpStream, _: &[u8]) -> io::Result<()> {
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
