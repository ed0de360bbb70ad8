//! One connection of a link: reads both ends, keeps each byte for its time on the way, and lets happen what is to happen.
//! It does not accept connections, and outlives none.

use std::io::{self, Read as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::lane::{CHUNK, Lane, Verdict};
use super::{Direction, Shared, Weather};

/// How long connecting to the host may take before the caller is reset.
const CONNECT: Duration = Duration::from_secs(10);

/// One connection, before its host is reached.
pub(super) struct Connection {
    client: TcpStream,
    alarm: UnixStream,
    shared: Arc<Shared>,
    begun: Instant,
}

impl Connection {
    pub(super) fn new(client: TcpStream, shared: &Arc<Shared>) -> io::Result<Self> {
        let (ringer, alarm) = UnixStream::pair()?;
        ringer.set_nonblocking(true)?;
        alarm.set_nonblocking(true)?;
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        shared.state().alarms.push(ringer);
        Ok(Self {
            client,
            alarm,
            shared: Arc::clone(shared),
            begun: Instant::now(),
        })
    }

    /// Carries bytes until both sides are done, or the connection breaks.
    pub(super) fn carry(mut self) {
        let mut to_host = Lane::new(Direction::ToHost);
        let mut from_host = Lane::new(Direction::FromHost);
        let mut host: Option<TcpStream> = None;
        // Over a real distance the caller's handshake takes two delays and its last part a third to arrive; here the kernel answered it at once.
        let reach_host_at = self.begun + self.shared.delay * 3;
        {
            let faults = &mut self.shared.state().faults;
            to_host.put(Vec::new(), self.begun + self.shared.delay, faults);
            from_host.put(Vec::new(), reach_host_at + self.shared.delay, faults);
        }
        loop {
            let (weather, stopping) = {
                let state = self.shared.state();
                (state.weather, state.stopping)
            };
            if stopping || weather == Weather::Cut {
                return self.reset(host);
            }
            let now = Instant::now();
            if weather == Weather::Fair {
                if host.is_none() && now >= reach_host_at {
                    match self.reach_host() {
                        Ok(stream) => host = Some(stream),
                        Err(_) => return self.reset(None),
                    }
                }
                if let Some(stream) = &mut host {
                    let there = to_host.give(stream, now, &self.shared);
                    let back = from_host.give(&mut self.client, now, &self.shared);
                    if there == Verdict::Reset || back == Verdict::Reset {
                        return self.reset(host);
                    }
                    let is_over = to_host.is_over && from_host.is_over;
                    if is_over || there == Verdict::Close || back == Verdict::Close {
                        return close(&self.client, host);
                    }
                }
                // One of them may have turned the weather.
                if self.shared.state().weather != Weather::Fair {
                    continue;
                }
            }
            let next = if weather == Weather::Fair {
                next_event(&to_host, &from_host, host.is_some(), reach_host_at)
            } else {
                None
            };
            if self
                .wait(weather, &mut host, [&mut to_host, &mut from_host], next)
                .is_err()
            {
                return self.reset(host);
            }
        }
    }

    fn reach_host(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.shared.to, CONNECT)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Waits for bytes, for room, for `next`, or for the alarm; and reads what came.
    fn wait(
        &mut self,
        weather: Weather,
        host: &mut Option<TcpStream>,
        [to_host, from_host]: [&mut Lane; 2],
        next: Option<Instant>,
    ) -> io::Result<()> {
        let now = Instant::now();
        let timeout = match next {
            Some(next) => Some(
                Timespec::try_from(next.saturating_duration_since(now))
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
            ),
            None => None,
        };
        let wants = |reads: bool, writes: bool| {
            let mut flags = PollFlags::empty();
            if weather == Weather::Fair {
                flags.set(PollFlags::IN, reads);
                flags.set(PollFlags::OUT, writes);
            }
            flags
        };
        let client_wants = wants(to_host.wants_to_read(), from_host.has_arrived(now));
        let host_wants = wants(from_host.wants_to_read(), host.is_some() && to_host.has_arrived(now));
        // A descriptor of which nothing is wanted is left out: poll would tell of its end over and over.
        let mut fds = vec![PollFd::new(&self.alarm, PollFlags::IN)];
        let mut client_at = None;
        let mut host_at = None;
        if !client_wants.is_empty() {
            client_at = Some(fds.len());
            fds.push(PollFd::new(&self.client, client_wants));
        }
        if let Some(host) = host
            && !host_wants.is_empty()
        {
            host_at = Some(fds.len());
            fds.push(PollFd::new(host, host_wants));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other?,
        };
        let can_read = |at: Option<usize>| {
            at.and_then(|index| fds.get(index))
                .is_some_and(|fd| fd.revents().intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR))
        };
        let (client_reads, host_reads) = (can_read(client_at), can_read(host_at));
        drop(fds);
        // Its bytes mean nothing but "look again".
        let mut rung = [0; 64];
        while matches!(self.alarm.read(&mut rung), Ok(1..)) {}
        if client_reads && to_host.wants_to_read() {
            to_host.take(&mut self.client, &self.shared);
        }
        if let Some(host) = host
            && host_reads
            && from_host.wants_to_read()
        {
            from_host.take(host, &self.shared);
        }
        Ok(())
    }

    /// Ends both sides with a reset.
    fn reset(self, host: Option<TcpStream>) {
        for stream in [Some(self.client), host].into_iter().flatten() {
            // Closing without lingering is how a reset is sent. Where it fails, the peer has gone already.
            let _set = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
    }
}

/// Ends both sides in order.
fn close(client: &TcpStream, host: Option<TcpStream>) {
    for stream in std::iter::once(client).chain(host.as_ref()) {
        // Bytes that nobody reads would turn the close into a reset.
        let mut rest = [0; CHUNK];
        let mut unread: &TcpStream = stream;
        while matches!(unread.read(&mut rest), Ok(1..)) {}
        let _shut = stream.shutdown(Shutdown::Both);
    }
}

/// When something arrives next that is still on its way.
fn next_event(to_host: &Lane, from_host: &Lane, is_reached: bool, reach_host_at: Instant) -> Option<Instant> {
    let now = Instant::now();
    let arrival = |lane: &Lane| {
        lane.queue
            .front()
            .map(|(arrival, _)| *arrival)
            .filter(|arrival| *arrival > now)
    };
    let reached = (!is_reached).then_some(reach_host_at);
    let lanes = [to_host, from_host].into_iter().filter_map(arrival);
    if is_reached { lanes.min() } else { reached }
}
