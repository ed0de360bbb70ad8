//! One connection of a link: reads both ends, keeps each byte for its time on the way, and lets happen what is to happen.
//! It does not accept connections, and outlives none.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Direction, Effect, Fault, Shared, Weather};

/// How many bytes may be on the way in one direction. Bounds the memory that a talkative host can cost; at 50 ms it still lets 300 MB pass in a second.
const ON_THE_WAY: usize = 16 << 20;

/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How long connecting to the host may take before the caller is reset.
const CONNECT: Duration = Duration::from_secs(10);

/// What is on the way.
#[derive(Debug, PartialEq, Eq)]
enum Item {
    Bytes(Vec<u8>),
    /// The sender has closed its side.
    End,
    /// A fault, or the reset of the sender.
    Happening(Effect),
}

/// One direction of a connection.
#[derive(Debug)]
struct Lane {
    direction: Direction,
    /// With the moment each arrives.
    queue: VecDeque<(Instant, Item)>,
    queued: usize,
    /// How many bytes were read from the sender so far.
    read: u64,
    /// Nothing more is read.
    is_read_out: bool,
    /// The receiver was told that nothing more comes.
    is_over: bool,
}

/// What the connection is to do.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    Close,
    Reset,
}

impl Lane {
    fn new(direction: Direction) -> Self {
        Self {
            direction,
            queue: VecDeque::new(),
            queued: 0,
            read: 0,
            is_read_out: false,
            is_over: false,
        }
    }

    /// Puts what was read on its way, with what `faults` do to it. Takes out the faults that it meets.
    fn put(&mut self, mut bytes: Vec<u8>, arrival: Instant, faults: &mut Vec<Fault>) {
        let (start, end) = (self.read, self.read + bytes.len() as u64);
        self.read = end;
        faults.retain(|fault| match fault.effect {
            Effect::Flip(mask) if fault.direction == self.direction && (start..end).contains(&fault.at) => {
                if let Some(byte) = usize::try_from(fault.at - start)
                    .ok()
                    .and_then(|index| bytes.get_mut(index))
                {
                    *byte ^= mask;
                }
                false
            }
            _ => true,
        });
        // The others stop the bytes behind them, so the first counts.
        loop {
            let first = faults
                .iter()
                .enumerate()
                .filter(|(_, fault)| {
                    !matches!(fault.effect, Effect::Flip(_))
                        && fault.direction == self.direction
                        && (self.read - bytes.len() as u64..=self.read).contains(&fault.at)
                })
                .min_by_key(|(_, fault)| fault.at)
                .map(|(index, _)| index);
            let Some(index) = first else { break };
            let fault = faults.remove(index);
            let before = fault.at - (self.read - bytes.len() as u64);
            let rest = bytes.split_off(usize::try_from(before).unwrap_or(bytes.len()).min(bytes.len()));
            self.push(arrival, Item::Bytes(bytes));
            self.push(arrival, Item::Happening(fault.effect));
            match fault.effect {
                Effect::BlackHole | Effect::Flip(_) => bytes = rest,
                Effect::Reset | Effect::Close => {
                    self.is_read_out = true;
                    return;
                }
            }
        }
        self.push(arrival, Item::Bytes(bytes));
    }

    fn push(&mut self, arrival: Instant, item: Item) {
        if let Item::Bytes(bytes) = &item {
            if bytes.is_empty() {
                return;
            }
            self.queued += bytes.len();
        }
        self.queue.push_back((arrival, item));
    }

    fn wants_to_read(&self) -> bool {
        !self.is_read_out && self.queued < ON_THE_WAY
    }

    fn has_arrived(&self, now: Instant) -> bool {
        self.queue.front().is_some_and(|(arrival, _)| *arrival <= now)
    }

    /// Reads once from the sender.
    fn take(&mut self, from: &mut TcpStream, shared: &Shared) {
        let mut buffer = vec![0; CHUNK];
        let arrival = |instant: Instant| instant + shared.delay;
        match from.read(&mut buffer) {
            Ok(0) => {
                self.is_read_out = true;
                self.push(arrival(Instant::now()), Item::End);
            }
            Ok(length) => {
                buffer.truncate(length);
                let faults = &mut shared.state().faults;
                self.put(buffer, arrival(Instant::now()), faults);
            }
            Err(error) if is_not_yet(&error) => {}
            Err(_) => {
                self.is_read_out = true;
                self.push(arrival(Instant::now()), Item::Happening(Effect::Reset));
            }
        }
    }

    /// Hands the receiver what has arrived, as far as it takes it.
    fn give(&mut self, to: &mut TcpStream, now: Instant, shared: &Shared) -> Verdict {
        while self.has_arrived(now) {
            let Some((arrival, item)) = self.queue.pop_front() else {
                break;
            };
            match item {
                Item::Bytes(mut bytes) => {
                    self.queued -= bytes.len();
                    let written = match to.write(&bytes) {
                        Ok(written) => written,
                        Err(error) if is_not_yet(&error) => 0,
                        Err(_) => return Verdict::Reset,
                    };
                    let rest = bytes.split_off(written);
                    if !rest.is_empty() {
                        self.queued += rest.len();
                        self.queue.push_front((arrival, Item::Bytes(rest)));
                        return Verdict::GoOn;
                    }
                }
                Item::End => {
                    self.is_over = true;
                    if to.shutdown(Shutdown::Write).is_err() {
                        return Verdict::Reset;
                    }
                }
                Item::Happening(Effect::Reset) => return Verdict::Reset,
                Item::Happening(Effect::Close) => return Verdict::Close,
                Item::Happening(Effect::BlackHole) => {
                    shared.set_weather(Weather::Dark);
                    return Verdict::GoOn;
                }
                // Done when it was read.
                Item::Happening(Effect::Flip(_)) => {}
            }
        }
        Verdict::GoOn
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn lane_after(chunks: &[&[u8]], faults: &mut Vec<Fault>) -> (Lane, Vec<Item>) {
        let mut lane = Lane::new(Direction::ToHost);
        lane.put(Vec::new(), Instant::now(), faults);
        for chunk in chunks {
            if lane.wants_to_read() {
                lane.put(chunk.to_vec(), Instant::now(), faults);
            }
        }
        let items = lane.queue.drain(..).map(|(_, item)| item).collect();
        (lane, items)
    }

    fn fault(at: u64, effect: Effect) -> Fault {
        Fault {
            direction: Direction::ToHost,
            at,
            effect,
        }
    }

    #[test]
    fn a_cut_falls_at_its_byte_however_the_bytes_were_chunked() {
        let whole: &[&[u8]] = &[b"abcdef"];
        let split: &[&[u8]] = &[b"ab", b"c", b"def"];
        for chunks in [whole, split] {
            for at in 0..=6u8 {
                let mut faults = vec![fault(at.into(), Effect::Reset)];
                let (_, items) = lane_after(chunks, &mut faults);
                let mut bytes: Vec<u8> = Vec::new();
                for item in &items {
                    if let Item::Bytes(part) = item {
                        bytes.extend(part);
                    }
                }
                assert_eq!(bytes, b"abcdef"[..at.into()]);
                assert_eq!(items.last(), Some(&Item::Happening(Effect::Reset)));
                assert!(faults.is_empty());
            }
        }
    }

    #[test]
    fn what_is_behind_a_black_hole_is_kept_for_later() {
        let mut faults = vec![fault(2, Effect::BlackHole)];
        let (_, items) = lane_after(&[b"abcd"], &mut faults);
        assert_eq!(
            items,
            [
                Item::Bytes(b"ab".to_vec()),
                Item::Happening(Effect::BlackHole),
                Item::Bytes(b"cd".to_vec())
            ]
        );
    }

    #[test]
    fn several_faults_happen_in_the_order_of_their_bytes() {
        let mut faults = vec![
            fault(3, Effect::Close),
            fault(1, Effect::BlackHole),
            fault(0, Effect::Flip(0x20)),
        ];
        let (_, items) = lane_after(&[b"abcd"], &mut faults);
        assert_eq!(
            items,
            [
                Item::Bytes(b"A".to_vec()),
                Item::Happening(Effect::BlackHole),
                Item::Bytes(b"bc".to_vec()),
                Item::Happening(Effect::Close)
            ]
        );
        assert!(faults.is_empty());
    }

    #[test]
    fn the_other_direction_and_later_bytes_are_left_alone() {
        let mut other = fault(1, Effect::Reset);
        other.direction = Direction::FromHost;
        let mut faults = vec![other, fault(9, Effect::Flip(1))];
        let (lane, items) = lane_after(&[b"abcd"], &mut faults);
        assert_eq!(items, [Item::Bytes(b"abcd".to_vec())]);
        assert_eq!(faults.len(), 2);
        assert!(!lane.is_read_out);
    }
}
