//! A TCP link with the bad habits of real networks, on the loopback: it adds distance, and breaks in the ways it is told to, at the byte it is told to.
//! It has no randomness: what it does follows from its options and the bytes alone.

mod connection;
mod lane;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use connection::Connection;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the link, to the host.
    ToHost,
    /// From the host.
    FromHost,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Both ends get a reset (RST); their connection is gone.
    Reset,
    /// Both ends get an orderly end (FIN), as if the other had closed.
    Close,
    /// Nothing arrives any more, either way and on any connection, until [`Link::heal`]. Nobody is told.
    BlackHole,
    /// One byte arrives changed: each bit that is set here is turned over.
    Flip(u8),
}

/// Something that happens once, on the first connection that carries enough bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Whose bytes are counted.
    pub direction: Direction,
    /// How many bytes still arrive unharmed before it. 0 is before anything is said; for [`Effect::Flip`] it is the index of the byte.
    pub at: u64,
    /// What happens then.
    pub effect: Effect,
}

/// How a link is.
#[derive(Debug, Clone, Default)]
pub struct LinkOptions {
    /// How long every byte takes in each direction; a round trip takes twice that. Connecting takes as long as it would over a real distance, too.
    pub delay: Duration,
    /// How many bytes pass in a second, in each direction of each connection; `None` is as many as come.
    pub bandwidth: Option<u32>,
    /// Where it loses something.
    pub loss: Option<Loss>,
    /// What breaks, and when.
    pub faults: Vec<Fault>,
}

/// What losing packets looks like to those who speak TCP: again and again nothing arrives for a while, and then all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// After how many bytes of a direction, each time.
    pub every: u32,
    /// For how long: until the sender has sent again what was lost.
    pub pause: Duration,
}

/// What the link does at this moment, for all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    /// Connections are reset, new ones at once.
    Cut,
    /// Nothing passes.
    Dark,
}

#[derive(Debug)]
struct State {
    weather: Weather,
    /// Those that did not happen yet.
    faults: Vec<Fault>,
    stopping: bool,
    /// The writing end of each connection's alarm: one byte, and it looks at this state again.
    alarms: Vec<UnixStream>,
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    delay: Duration,
    bandwidth: Option<u32>,
    loss: Option<Loss>,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it, and its values are whole at every moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_weather(&self, weather: Weather) {
        let mut state = self.state();
        state.weather = weather;
        ring(&mut state);
    }
}

/// Wakes all connections; forgets those that are over.
fn ring(state: &mut State) {
    state.alarms.retain(|alarm| {
        let mut alarm = alarm;
        match alarm.write_all(&[0]) {
            Ok(()) => true,
            // So many unheard alarms that one more makes no difference.
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    });
}

/// A link to one address. Dropping it resets its connections.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Link {
    /// Listens on a free port of the loopback, and passes what comes in on to `to`.
    ///
    /// # Errors
    /// When no port or thread can be had.
    pub fn start(to: SocketAddr, options: LinkOptions) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to,
            delay: options.delay,
            bandwidth: options.bandwidth,
            loss: options.loss,
            state: Mutex::new(State {
                weather: Weather::Fair,
                faults: options.faults,
                stopping: false,
                alarms: Vec::new(),
            }),
        });
        let accepting = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || accept(&listener, &accepting))?;
        Ok(Self {
            address,
            shared,
            listener: Some(thread),
        })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection now, and every new one at once, until [`Link::heal`].
    pub fn cut(&self) {
        self.shared.set_weather(Weather::Cut);
    }

    /// Lets nothing pass from now on, until [`Link::heal`], and tells nobody. New connections are accepted, and hear nothing.
    pub fn black_hole(&self) {
        self.shared.set_weather(Weather::Dark);
    }

    /// Works again. What was sent meanwhile arrives now, as TCP would send it again; connections that were reset stay so.
    pub fn heal(&self) {
        self.shared.set_weather(Weather::Fair);
    }

    /// Adds something that happens once, on the first connection from now on, or of now, that carries enough bytes.
    pub fn arm(&self, fault: Fault) {
        let mut state = self.shared.state();
        state.faults.push(fault);
        ring(&mut state);
    }

    /// The faults that have not happened yet.
    pub fn pending_faults(&self) -> Vec<Fault> {
        self.shared.state().faults.clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        // The listener waits for a connection, so it gets one.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.listener.take()
        {
            let _ended = thread.join();
        }
    }
}

/// Takes connections until the link is dropped, then ends those there are.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let accepted = listener.accept();
        if shared.state().stopping {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        // An accept or a thread that fails is a connection that failed: its caller sees it closed.
        if let Ok((client, _)) = accepted
            && let Ok(connection) = Connection::new(client, shared)
            && let Ok(thread) = std::thread::Builder::new()
                .name("link-connection".to_owned())
                .spawn(move || connection.carry())
        {
            threads.push(thread);
        }
    }
    ring(&mut shared.state());
    for thread in threads {
        let _ended = thread.join();
    }
}

#[cfg(test)]
mod tests;
