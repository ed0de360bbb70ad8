//! A TCP proxy on loopback that delays, cuts or swallows, and counts. It does not look into the
//! stream.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// What happens to what the server sends.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// After this many bytes the server's side is silent, and stays open.
    Silence(u64),
    /// After this many bytes the connection ends.
    Cut(u64),
}

/// What passed through a proxy.
#[derive(Default)]
struct Passed {
    server_bytes: AtomicU64,
    client_bytes: AtomicU64,
    /// The client has sent something since the server's last bytes reached it.
    client_spoke: AtomicBool,
    /// How often the server's bytes reached the client after the client had sent something.
    turns: AtomicU64,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    passed: Arc<Passed>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Forwards to a port of loopback; each direction takes `delay`.
    pub(crate) async fn start(to: u16, delay: Duration, fault: Fault) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed = Arc::new(Passed::default());
        let counting = Arc::clone(&passed);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], to)))
                    .await
                    .unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(pump(
                    client_read,
                    server_write,
                    delay,
                    Fault::None,
                    Side::Client,
                    Arc::clone(&counting),
                ));
                tokio::spawn(pump(
                    server_read,
                    client_write,
                    delay,
                    fault,
                    Side::Server,
                    Arc::clone(&counting),
                ));
            }
        });
        Self {
            port,
            passed,
            accepting,
        }
    }

    /// Bytes the server has sent so far.
    pub(crate) fn server_bytes(&self) -> u64 {
        self.passed.server_bytes.load(Ordering::SeqCst)
    }

    /// Bytes the client has sent so far.
    pub(crate) fn client_bytes(&self) -> u64 {
        self.passed.client_bytes.load(Ordering::SeqCst)
    }

    /// How often the client has had an answer: with a delay, its round trips.
    pub(crate) fn turns(&self) -> u64 {
        self.passed.turns.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Client,
    Server,
}

/// One direction. Reading and writing are separate, so that bytes under way do not delay others.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    fault: Fault,
    side: Side,
    passed: Arc<Passed>,
) {
    let counting = Arc::clone(&passed);
    let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let deliver = async move {
        while let Some((due, bytes)) = under_way.recv().await {
            sleep_until(due).await;
            if side == Side::Server && counting.client_spoke.swap(false, Ordering::SeqCst) {
                counting.turns.fetch_add(1, Ordering::SeqCst);
            }
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        match fault {
            Fault::Silence(_) => std::future::pending().await,
            Fault::None | Fault::Cut(_) => drop(to),
        }
    };
    let collect = async move {
        let mut delivered = 0;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            match side {
                Side::Server => passed.server_bytes.fetch_add(read as u64, Ordering::SeqCst),
                Side::Client => {
                    passed.client_spoke.store(true, Ordering::SeqCst);
                    passed.client_bytes.fetch_add(read as u64, Ordering::SeqCst)
                }
            };
            let allowed = match fault {
                Fault::None => read,
                Fault::Silence(limit) | Fault::Cut(limit) => read.min((limit - delivered) as usize),
            };
            delivered += allowed as u64;
            let sent = sender.send((Instant::now() + delay, buffer[..allowed].to_vec())).await;
            if sent.is_err() || allowed < read {
                break;
            }
        }
    };
    tokio::join!(deliver, collect);
}
