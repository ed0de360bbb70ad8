//! The byte stream under SSH, TCP or a jump host's channel, that cannot hang: a write that makes no
//! progress ends it, and so does the owner letting go. It knows nothing of SSH.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
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
    spoke: Arc<AtomicBool>,
}

impl Lifeline {
    /// True once the peer has sent a byte.
    pub(crate) fn peer_spoke(&self) -> bool {
        self.spoke.load(Ordering::Relaxed)
    }
}

/// A stream with a stall limit on writes and a lifeline.
pub(crate) struct Link<S> {
    stream: S,
    stall: Duration,
    /// Runs while a write is pending.
    stalled: Option<Pin<Box<Sleep>>>,
    end: oneshot::Receiver<Infallible>,
    spoke: Arc<AtomicBool>,
}

impl<S> Link<S> {
    pub(crate) fn new(stream: S, stall: Duration) -> (Self, Lifeline) {
        let (sender, end) = oneshot::channel();
        let spoke = Arc::new(AtomicBool::new(false));
        let link = Self {
            stream,
            stall,
            stalled: None,
            end,
            spoke: Arc::clone(&spoke),
        };
        (link, Lifeline { _end: sender, spoke })
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
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_ready() {
            this.spoke.store(true, Ordering::Relaxed);
            return read;
        }
        this.poll_end(cx).map(Err)
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
