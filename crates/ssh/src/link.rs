//! The byte stream under SSH, TCP or a jump host's channel, that cannot hang: a write that makes no
//! progress ends it, and so does the owner letting go. Of SSH it knows how a server greets, and nothing more.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

/// Keeps a link open. Dropping it ends the link, and with it the task that serves it: russh's task
/// would otherwise wait for ever for a server that goes silent during key exchange.
#[derive(Debug)]
pub(crate) struct Lifeline {
    _end: oneshot::Sender<Infallible>,
    heard: Arc<Heard>,
}

impl Lifeline {
    /// True once the peer has sent a byte.
    pub(crate) fn peer_spoke(&self) -> bool {
        self.heard.greeted.load(Ordering::Relaxed) || !self.heard.first().is_empty()
    }

    /// What a peer said that hung up before it greeted; `None` for every other.
    pub(crate) fn turned_away(&self) -> Option<Vec<u8>> {
        let away = self.heard.hung_up.load(Ordering::Relaxed) && !self.heard.greeted.load(Ordering::Relaxed);
        away.then(|| self.heard.first().clone())
    }
}

/// What came from the peer, as far as it tells whether it is an SSH server at all.
#[derive(Debug, Default)]
struct Heard {
    /// It has sent a line that begins with `SSH-`.
    greeted: AtomicBool,
    /// It has ended the stream, or the stream broke.
    hung_up: AtomicBool,
    /// Its first bytes, up to the greeting.
    first: Mutex<Vec<u8>>,
}

/// How much of what comes before a greeting is kept, in bytes. Servers may say a few lines before it (RFC 4253, 4.2).
const BEFORE_GREETING: usize = 4096;

impl Heard {
    fn first(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        // Nothing panics while holding it.
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, bytes: &[u8]) {
        if self.greeted.load(Ordering::Relaxed) {
            return;
        }
        let mut first = self.first();
        let room = BEFORE_GREETING.saturating_sub(first.len());
        first.extend(bytes.iter().take(room));
        if first.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"SSH-")) {
            self.greeted.store(true, Ordering::Relaxed);
            first.clear();
        }
    }
}

/// A stream with a stall limit on writes and a lifeline.
pub(crate) struct Link<S> {
    stream: S,
    stall: Duration,
    /// Runs while a write is pending.
    stalled: Option<Pin<Box<Sleep>>>,
    end: oneshot::Receiver<Infallible>,
    heard: Arc<Heard>,
}

impl<S> Link<S> {
    pub(crate) fn new(stream: S, stall: Duration) -> (Self, Lifeline) {
        let (sender, end) = oneshot::channel();
        let heard = Arc::new(Heard::default());
        let link = Self {
            stream,
            stall,
            stalled: None,
            end,
            heard: Arc::clone(&heard),
        };
        (link, Lifeline { _end: sender, heard })
    }

    /// Ready once the owner has let go of the lifeline.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let ended = Pin::new(&mut self.end).poll(cx);
        ended.map(|_| io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed here"))
    }

    /// Turns a pending write into an error once it has been pending for too long.
    fn poll_write_limit<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        if let Poll::Ready(ended) = self.poll_end(cx) {
            return Poll::Ready(Err(ended));
        }
        let stall = self.stall;
        let limit = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall)));
        ready!(limit.as_mut().poll(cx));
        // Stay failed: russh may write once more to say goodbye, and must not wait again.
        limit.as_mut().reset(Instant::now());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer stopped reading")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Link<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        match &read {
            Poll::Pending => return this.poll_end(cx).map(Err),
            Poll::Ready(Ok(())) => match buffer.filled().get(before..) {
                Some(bytes) if !bytes.is_empty() => this.heard.hear(bytes),
                _ => this.heard.hung_up.store(true, Ordering::Relaxed),
            },
            Poll::Ready(Err(_)) => this.heard.hung_up.store(true, Ordering::Relaxed),
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Link<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.poll_write_limit(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.poll_write_limit(cx, flushed)
    }

    /// Never an error: russh would return it in place of the reason why the connection ended.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.poll_write_limit(cx, shut).map(|_| Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stops_reading_ends_the_write() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let (mut link, _lifeline) = Link::new(ours, Duration::from_secs(30));
        let started = Instant::now();
        let error = link.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_a_stalled_one() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let (mut link, _lifeline) = Link::new(ours, Duration::from_secs(30));
        let reader = tokio::spawn(async move {
            let mut byte = [0];
            for _ in 0..64 {
                sleep(Duration::from_secs(20)).await;
                theirs.read_exact(&mut byte).await.unwrap();
            }
        });
        link.write_all(&[0; 64]).await.unwrap();
        reader.await.unwrap();
    }

    /// What a client hears of a peer that sends these pieces and hangs up.
    async fn heard(pieces: &[&[u8]]) -> Lifeline {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut link, lifeline) = Link::new(ours, Duration::from_secs(30));
        for piece in pieces {
            theirs.write_all(piece).await.unwrap();
            link.read_exact(&mut vec![0; piece.len()]).await.unwrap();
        }
        drop(theirs);
        assert_eq!(link.read(&mut [0; 8]).await.unwrap(), 0);
        lifeline
    }

    #[tokio::test]
    async fn who_hangs_up_before_the_greeting_is_told_from_who_does_so_after_it() {
        let silent = heard(&[]).await;
        assert_eq!(silent.turned_away().as_deref(), Some(&b""[..]));
        assert!(!silent.peer_spoke());
        let full = heard(&[b"Exceeded ", b"MaxStartups\r\n"]).await;
        assert_eq!(full.turned_away().as_deref(), Some(&b"Exceeded MaxStartups\r\n"[..]));
        assert!(full.peer_spoke());
        // Lines before the greeting, which comes in pieces.
        let greeted = heard(&[b"be careful\r\nSS", b"H-2.0-x\r\n"]).await;
        assert_eq!(greeted.turned_away(), None);
        assert!(greeted.peer_spoke());
    }

    #[tokio::test]
    async fn letting_go_of_the_lifeline_ends_a_read() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let (mut link, lifeline) = Link::new(ours, Duration::from_secs(30));
        let read = tokio::spawn(async move { link.read_u8().await });
        tokio::task::yield_now().await;
        drop(lifeline);
        let ended = tokio::time::timeout(Duration::from_secs(5), read).await;
        let ended = ended.expect("the read should end").unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
