//! One plain HTTP GET (RFC 9112), as strict and small as a health check needs: a status, and a search of the body's
//! first bytes. It follows no redirect, speaks no TLS, keeps no connection, and takes no more than its limits.
//!
//! It is written out here because the agent is uploaded to every host: the small clients bring URL, header and TLS
//! crates that outweigh these lines many times, and resolve names in a way that a static program cannot.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::probe::{ConnectError, connect, host_and_port};

/// The longest status line with all header fields, in bytes.
const HEAD_BYTES: usize = 16 << 10;

/// How much of a body is searched, in bytes.
const BODY_BYTES: usize = 64 << 10;

/// The parts of an `http://` URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// Host and port as written: what the `Host` field takes.
    authority: &'a str,
    host: &'a str,
    port: u16,
    /// Path and query, which may be empty.
    target: &'a str,
}

/// Why a text is no URL that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UrlError {
    #[error("it does not begin with \"http://\"")]
    Scheme,
    #[error("it has a blank, a control character or a letter that is not ASCII")]
    Character,
    #[error("it has no host, a user, or a port that is no number")]
    Authority,
}

impl<'a> Url<'a> {
    /// Takes a URL apart. What follows `#` is not sent.
    pub(super) fn parse(url: &'a str) -> Result<Self, UrlError> {
        if !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let rest = url.strip_prefix("http://").ok_or(UrlError::Scheme)?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let bracketed = authority.ends_with(']');
        let (host, port) = if authority.contains('@') {
            None
        } else if bracketed {
            let host = authority.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            host.map(|host| (host, 80))
        } else if authority.contains(':') {
            host_and_port(authority)
        } else {
            Some((authority, 80))
        }
        .filter(|(host, _)| !host.is_empty())
        .ok_or(UrlError::Authority)?;
        Ok(Self {
            authority,
            host,
            port,
            target,
        })
    }
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// Whether the text asked for is in the first [`BODY_BYTES`] of the body; false where none was asked for.
    pub(super) has_text: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error(transparent)]
    Connect(ConnectError),
    #[error("no answer in time")]
    Late,
    #[error("the connection broke")]
    Io(#[source] io::Error),
    #[error("the connection closed before the answer was whole")]
    Cut,
    #[error("the answer is not HTTP: {0}")]
    Malformed(&'static str),
}

/// Asks, and reads no further than it must to tell the status, and whether `text` is in the body.
pub(super) fn get(url: &Url<'_>, text: Option<&str>, deadline: Instant) -> Result<Answer, HttpError> {
    let stream = connect(url.host, url.port, deadline).map_err(HttpError::Connect)?;
    let slash = if url.target.starts_with('/') { "" } else { "/" };
    let request = format!(
        "GET {slash}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: provision-agent/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.target,
        url.authority,
        env!("CARGO_PKG_VERSION"),
    );
    let mut wire = Wire {
        stream,
        deadline,
        bytes: Vec::new(),
        at: 0,
    };
    wire.send(request.as_bytes())?;
    // Interim answers (1xx) come before the one that counts.
    let head = loop {
        let head = head(&mut wire)?;
        match head.status {
            101 => return Err(HttpError::Malformed("it switches to another protocol")),
            100..200 => {}
            _ => break head,
        }
    };
    let has_text = match text {
        None => false,
        Some(text) => search(&mut wire, &head, text.as_bytes())?,
    };
    Ok(Answer {
        status: head.status,
        has_text,
    })
}

/// A connection with a deadline over all of it.
struct Wire {
    stream: TcpStream,
    deadline: Instant,
    /// What was read, of which all before `at` is used.
    bytes: Vec<u8>,
    at: usize,
}

impl Wire {
    /// The time that is left.
    fn patience(&self) -> Result<std::time::Duration, HttpError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(HttpError::Late) } else { Ok(left) }
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), HttpError> {
        while !bytes.is_empty() {
            self.stream
                .set_write_timeout(Some(self.patience()?))
                .map_err(HttpError::Io)?;
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => passing(error)?,
            }
        }
        Ok(())
    }

    /// Reads some more; `false` at the end of the stream.
    fn more(&mut self) -> Result<bool, HttpError> {
        let mut piece = [0; 8 << 10];
        loop {
            self.stream
                .set_read_timeout(Some(self.patience()?))
                .map_err(HttpError::Io)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.bytes.drain(..self.at);
                    self.at = 0;
                    self.bytes.extend_from_slice(&piece[..read]);
                    return Ok(true);
                }
                Err(error) => passing(error)?,
            }
        }
    }

    /// One line without its end, of at most `limit` bytes.
    fn line(&mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        loop {
            let unread = &self.bytes[self.at..];
            if let Some(end) = unread.iter().position(|&b| b == b'\n') {
                let line = &unread[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.at += end + 1;
                return Ok(line);
            }
            if unread.len() > limit {
                return Err(HttpError::Malformed("a line is too long"));
            }
            if !self.more()? {
                return Err(HttpError::Cut);
            }
        }
    }

    /// Up to `limit` bytes; none at the end of the stream.
    fn some(&mut self, limit: usize) -> Result<Vec<u8>, HttpError> {
        if self.at == self.bytes.len() && !self.more()? {
            return Ok(Vec::new());
        }
        let end = self.bytes.len().min(self.at.saturating_add(limit));
        let some = self.bytes[self.at..end].to_vec();
        self.at = end;
        Ok(some)
    }
}

/// Lets pass what only means "again": an interruption, or a timeout that the next look at the clock tells of.
fn passing(error: io::Error) -> Result<(), HttpError> {
    match error.kind() {
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(()),
        _ => Err(HttpError::Io(error)),
    }
}

/// How the end of a body is told: RFC 9112, 6.3.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

struct Head {
    status: u16,
    framing: Framing,
}

fn head(wire: &mut Wire) -> Result<Head, HttpError> {
    let line = wire.line(HEAD_BYTES)?;
    let status = status(&line).ok_or(HttpError::Malformed("no status line"))?;
    let mut left = HEAD_BYTES.saturating_sub(line.len());
    let mut framing = Framing::UntilClose;
    loop {
        let line = wire.line(left)?;
        if line.is_empty() {
            break;
        }
        left = left
            .checked_sub(line.len() + 1)
            .ok_or(HttpError::Malformed("its header is too long"))?;
        let line = String::from_utf8_lossy(&line);
        let (name, value) = line
            .split_once(':')
            .ok_or(HttpError::Malformed("a header field without a colon"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            let last = value.rsplit(',').next().unwrap_or("").trim();
            framing = if last.eq_ignore_ascii_case("chunked") {
                Framing::Chunked
            } else {
                return Err(HttpError::Malformed("a transfer encoding that was not asked for"));
            };
        } else if name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let length = digits.then(|| value.parse().ok()).flatten();
            let length = length.ok_or(HttpError::Malformed("a length that is no number"))?;
            match framing {
                Framing::Length(other) if other != length => {
                    return Err(HttpError::Malformed("two lengths"));
                }
                Framing::Length(_) | Framing::UntilClose | Framing::Chunked => framing = Framing::Length(length),
            }
        }
    }
    if matches!(status, 204 | 304) {
        framing = Framing::Length(0);
    }
    Ok(Head { status, framing })
}

fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [b'0' | b'1', b' ', code @ ..] = rest else {
        return None;
    };
    let code = code.get(..3).filter(|_| matches!(code.get(3), None | Some(b' ')))?;
    let code = std::str::from_utf8(code).ok()?;
    let plain = code.bytes().all(|b| b.is_ascii_digit()) && !code.starts_with('0');
    plain.then(|| code.parse().ok()).flatten()
}

/// Whether `text` is in the body's first bytes. It reads on only while that is open, so a body without end does no harm.
fn search(wire: &mut Wire, head: &Head, text: &[u8]) -> Result<bool, HttpError> {
    let mut body = Body::default();
    match head.framing {
        Framing::Length(length) => body.take(wire, length, text)?,
        Framing::Chunked => {
            while !body.decided(text) {
                let length = chunk_length(&wire.line(HEAD_BYTES)?)?;
                if length == 0 {
                    break;
                }
                body.take(wire, length, text)?;
                if !body.decided(text) && !wire.line(HEAD_BYTES)?.is_empty() {
                    return Err(HttpError::Malformed("a chunk longer than it says"));
                }
            }
        }
        Framing::UntilClose => {
            while !body.decided(text) {
                let some = wire.some(BODY_BYTES)?;
                if some.is_empty() {
                    break;
                }
                body.add(&some, text);
            }
        }
    }
    Ok(body.found || text.is_empty())
}

fn chunk_length(line: &[u8]) -> Result<u64, HttpError> {
    let text = String::from_utf8_lossy(line);
    let digits = text.split(';').next().unwrap_or("").trim();
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let length = hexadecimal.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    length.ok_or(HttpError::Malformed("a chunk without a length"))
}

/// The body's first bytes, and whether the text is in them.
#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
    found: bool,
}

impl Body {
    /// Whether more bytes can change nothing.
    fn decided(&self, text: &[u8]) -> bool {
        self.found || text.is_empty() || self.bytes.len() >= BODY_BYTES
    }

    fn add(&mut self, bytes: &[u8], text: &[u8]) {
        let from = self.bytes.len().saturating_sub(text.len());
        let room = BODY_BYTES - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut windows = self.bytes[from..].windows(text.len().max(1));
        self.found = self.found || windows.any(|window| window == text);
    }

    fn take(&mut self, wire: &mut Wire, mut length: u64, text: &[u8]) -> Result<(), HttpError> {
        while length > 0 && !self.decided(text) {
            let some = wire.some(usize::try_from(length).unwrap_or(usize::MAX))?;
            if some.is_empty() {
                return Err(HttpError::Cut);
            }
            length -= some.len() as u64;
            self.add(&some, text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Asks a server that says `pieces`, each in a write of its own, and then closes or keeps the connection.
    fn ask(
        pieces: &[&[u8]],
        keep: bool,
        text: Option<&str>,
        patience: Duration,
    ) -> (Result<Answer, HttpError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health?x=1#part", listener.local_addr().unwrap());
        thread::scope(|scope| {
            let server = scope.spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                for piece in pieces {
                    // The client may have seen enough and be gone.
                    let _ = stream.write_all(piece);
                }
                if keep {
                    // Until the client closes.
                    let _ = stream.read(&mut [0]);
                }
                String::from_utf8(request).unwrap()
            });
            let answer = get(&Url::parse(&url).unwrap(), text, Instant::now() + patience);
            (answer, server.join().unwrap())
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    fn answer(text: &str, wanted: Option<&str>) -> Result<Answer, HttpError> {
        // In one piece, and byte by byte: it must make no difference.
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        let whole = ask(&[text.as_bytes()], false, wanted, LONG).0;
        let split = ask(&bytes, false, wanted, LONG).0;
        assert_eq!(format!("{whole:?}"), format!("{split:?}"));
        whole
    }

    fn has_text(text: &str, wanted: &str) -> bool {
        answer(text, Some(wanted)).unwrap().has_text
    }

    #[test]
    fn urls_are_taken_apart_and_anything_doubtful_is_refused() {
        let parts = |url| Url::parse(url).map(|url| (url.authority, url.host, url.port, url.target));
        assert_eq!(parts("http://a"), Ok(("a", "a", 80, "")));
        assert_eq!(parts("http://a:8080/x/y?q#f"), Ok(("a:8080", "a", 8080, "/x/y?q")));
        assert_eq!(parts("http://a?q"), Ok(("a", "a", 80, "?q")));
        assert_eq!(parts("http://[::1]/"), Ok(("[::1]", "::1", 80, "/")));
        assert_eq!(parts("http://[::1]:90/"), Ok(("[::1]:90", "::1", 90, "/")));
        for (url, error) in [
            ("https://a", UrlError::Scheme),
            ("a", UrlError::Scheme),
            ("http://a/b c", UrlError::Character),
            ("http://a/\r\nX: y", UrlError::Character),
            ("http://ä/", UrlError::Character),
            ("http://", UrlError::Authority),
            ("http:///x", UrlError::Authority),
            ("http://[]/x", UrlError::Authority),
            ("http://u:p@a/", UrlError::Authority),
            ("http://a:port/", UrlError::Authority),
            ("http://a:65536/", UrlError::Authority),
            ("http://a:/", UrlError::Authority),
            ("http://::1/", UrlError::Authority),
        ] {
            assert_eq!(parts(url), Err(error), "{url}");
        }
    }

    #[test]
    fn the_request_is_plain() {
        let (result, request) = ask(&[b"HTTP/1.1 200 OK\r\n\r\n"], true, None, LONG);
        assert_eq!(result.unwrap().status, 200);
        assert!(
            request.starts_with("GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:"),
            "{request}"
        );
        assert!(request.contains("\r\nConnection: close\r\n"));
    }

    #[test]
    fn a_status_needs_no_more_than_the_head() {
        for (line, status) in [
            ("HTTP/1.1 200 OK", Some(200)),
            ("HTTP/1.0 503", Some(503)),
            ("HTTP/1.1 404 ", Some(404)),
            ("HTTP/2 200", None),
            ("HTTP/1.1 20", None),
            ("HTTP/1.1 2000", None),
            ("HTTP/1.1 000 x", None),
            ("HTTP/1.1 +20 x", None),
            ("ICY 200 OK", None),
            ("SSH-2.0-OpenSSH_9.2", None),
        ] {
            let found = answer(&format!("{line}\r\nContent-Length: 5\r\n\r\n"), None);
            assert_eq!(found.ok().map(|answer| answer.status), status, "{line}");
        }
        assert_eq!(
            answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", None)
                .unwrap()
                .status,
            204
        );
        assert!(answer("HTTP/1.1 101 Switching\r\n\r\n", None).is_err());
        assert!(matches!(
            answer("HTTP/1.1 200 OK\r\nServer: x\r\n", None),
            Err(HttpError::Cut)
        ));
        assert!(matches!(answer("", None), Err(HttpError::Cut)));
    }

    #[test]
    fn a_body_is_as_long_as_it_is_framed() {
        let ok = "HTTP/1.1 200 OK\r\n";
        assert!(has_text(&format!("{ok}Content-Length: 9\r\n\r\nall ready"), "ready"));
        assert!(!has_text(&format!("{ok}Content-Length: 4\r\n\r\nall ready"), "ready"));
        assert!(has_text(&format!("{ok}\r\nuntil it closes: ready"), "ready"));
        assert!(has_text(
            &format!("{ok}transfer-encoding: Chunked\r\n\r\n6;x=y\r\nall re\r\n3\r\nady\r\n0\r\n\r\n"),
            "ready"
        ));
        assert!(!has_text(
            &format!("{ok}Transfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\nready"),
            "ready"
        ));
        assert!(!has_text("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nready", "ready"));
        assert!(has_text(&format!("{ok}Content-Length: 0\r\n\r\n"), ""));
    }

    #[test]
    fn a_body_that_breaks_its_framing_is_an_error() {
        let ok = "HTTP/1.1 200 OK\r\n";
        for rest in [
            "Content-Length: 10\r\n\r\nshort",
            "Content-Length: x\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: 99999999999999999999\r\n\r\n",
            "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "Transfer-Encoding: gzip\r\n\r\nab",
            "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nab",
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            "no colon\r\n\r\n",
        ] {
            assert!(answer(&format!("{ok}{rest}"), Some("ready")).is_err(), "{rest:?}");
        }
    }

    #[test]
    fn no_more_is_taken_than_the_limits_allow() {
        let ok = b"HTTP/1.1 200 OK\r\n\r\n";
        let filler = vec![b'.'; BODY_BYTES - 5];
        let searched = |text: &str| ask(&[ok, &filler, b"ready", text.as_bytes()], false, Some(text), LONG).0;
        assert!(
            searched("ready").unwrap().has_text,
            "the last of the bytes that are searched"
        );
        assert!(!searched("beyond").unwrap().has_text);

        let endless = vec![b'x'; 2 * HEAD_BYTES];
        for head in [&b""[..], b"HTTP/1.1 200 OK\r\nX: "] {
            let error = ask(&[head, &endless], true, None, LONG).0.unwrap_err();
            assert!(matches!(error, HttpError::Malformed(_)), "{error}");
        }
        let fields = b"a: b\r\n".repeat(HEAD_BYTES / 5);
        let error = ask(&[b"HTTP/1.1 200 OK\r\n", &fields], true, None, LONG).0.unwrap_err();
        assert!(matches!(error, HttpError::Malformed(_)), "{error}");
    }

    #[test]
    fn a_body_without_end_is_left_once_the_text_is_found() {
        let pieces: [&[u8]; 2] = [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"ff\r\ndata: ready",
        ];
        assert!(ask(&pieces, true, Some("ready"), LONG).0.unwrap().has_text);
    }

    #[test]
    fn a_server_that_says_nothing_or_stops_is_left_in_time() {
        for pieces in [&[][..], &[&b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"[..]]] {
            let error = ask(pieces, true, Some("ready"), Duration::from_millis(100))
                .0
                .unwrap_err();
            assert!(matches!(error, HttpError::Late), "{error}");
        }
    }
}
