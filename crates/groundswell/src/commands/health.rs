//! `groundswell health`: is the process beside us ready? For health checks of containers, whose images have no curl.
//!
//! It asks a loopback address and nothing else: it is a check of the process beside it, not an HTTP client, so there is
//! no TLS, no redirect and no proxy that could answer for somebody else.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use crate::failure::Outcome;

/// The most of an answer that is read: ours have a line.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

const EXAMPLES: &str = "\
Examples:
  groundswell run --bootstrap kafka:9092 --metrics 127.0.0.1:9464    serves what is asked for here
  groundswell health                                                 http://127.0.0.1:9464/readyz
  groundswell health --url http://127.0.0.1:9464/healthz             does the process answer at all?

Exit code 0 if the answer is 200; 1, with the answer on stderr, if it is another or there is none. \
/readyz is 200 once the roles that are run have joined their groups and restored their state, and \
for as long as they work.";

/// Options of `health`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to ask: /readyz or /healthz on the address that --metrics of `run` names, on this machine.
    #[arg(long, default_value = "http://127.0.0.1:9464/readyz", value_parser = parse_url)]
    url: Url,
    /// How long the answer may take.
    #[arg(long, default_value_t = 3, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

/// What is asked, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Url {
    text: String,
    address: SocketAddr,
    path: String,
}

fn parse_url(text: &str) -> Result<Url, String> {
    let rest = text.strip_prefix("http://").ok_or("only http:// can be asked")?;
    let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_plain = |c: char| c.is_ascii_graphic();
    if !path.chars().all(is_plain) {
        return Err("the path must be of plain letters".to_owned());
    }
    let host_and_port = |(host, port): (&str, &str)| Some((host.to_owned(), port.parse::<u16>().ok()?));
    let is_ipv6_alone = place.ends_with(']');
    let split = place.rsplit_once(':').filter(|_| !is_ipv6_alone);
    let (host, port) = match split {
        Some(split) => host_and_port(split).ok_or("the port must be a number up to 65535")?,
        None => (place.to_owned(), 80),
    };
    let ip = match host.as_str() {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "[::1]" => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other.parse().ok().filter(IpAddr::is_loopback).ok_or(
            "only this machine can be asked: 127.0.0.1, [::1] or localhost; it is a check of the process beside it",
        )?,
    };
    Ok(Url { text: text.to_owned(), address: SocketAddr::new(ip, port), path: format!("/{path}") })
}

/// Asks once.
pub(crate) fn run(args: Args) -> Outcome {
    let Url { text, address, path } = &args.url;
    let answer = ask(*address, path, Duration::from_secs(args.timeout));
    let answer = answer.with_context(|| format!("no answer from {text}"))?;
    let Some((status, body)) = parse_answer(&answer) else {
        return Err(anyhow!("what answers at {text} does not speak HTTP").into());
    };
    let body = body.trim();
    if status != 200 {
        return Err(anyhow!("{text} answers {status}: {body}").into());
    }
    Ok(writeln!(io::stdout(), "{body}")?)
}

fn ask(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<Vec<u8>> {
    let started = Instant::now();
    // A time-out of zero would be none.
    let left = || timeout.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&address, left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while (answer.len() as u64) < ANSWER_BYTES_MAX {
        // Whoever sends a byte now and then does not keep us.
        if started.elapsed() >= timeout {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left()))?;
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// The status and the body.
fn parse_answer(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let status = text.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.get(..3)?.parse().ok()?;
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked() {
        let check = |text: &str, address: &str, path: &str| {
            let url = parse_url(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((url.address.to_string().as_str(), url.path.as_str()), (address, path), "{text}");
        };
        check("http://127.0.0.1:9464/readyz", "127.0.0.1:9464", "/readyz");
        check("http://localhost:1/a/b?c", "127.0.0.1:1", "/a/b?c");
        check("http://[::1]:9464", "[::1]:9464", "/");
        check("http://[::1]/readyz", "[::1]:80", "/readyz");
        for (wrong, why) in [
            ("https://127.0.0.1/readyz", "only http://"),
            ("127.0.0.1:9464", "only http://"),
            ("http://kafka:9464/readyz", "only this machine"),
            ("http://10.0.0.1:9464/readyz", "only this machine"),
            ("http://127.0.0.1@evil.example/readyz", "only this machine"),
            ("http://127.0.0.1:99999/readyz", "the port"),
            ("http://127.0.0.1:1/a b", "the path"),
        ] {
            let error = parse_url(wrong).expect_err("it is refused");
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let answer = b"HTTP/1.0 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nno\r\n";
        assert_eq!(parse_answer(answer), Some((503, "no\r\n".to_owned())));
        assert_eq!(parse_answer(b"HTTP/1.1 200 OK\r\n\r\n"), Some((200, String::new())));
        assert_eq!(parse_answer(b"SSH-2.0-OpenSSH"), None);
        assert_eq!(parse_answer(b""), None);
    }
}
