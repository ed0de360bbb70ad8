//! One direction of a connection: what is on the way, when it arrives, and what the faults make of it.
//! It waits for nothing: the connection calls it when there is something to do.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::{Direction, Effect, Fault, Shared, Weather};

/// How many bytes may be on the way in one direction. Bounds the memory that a talkative host can cost; at 50 ms it still lets 300 MB pass in a second.
const ON_THE_WAY: usize = 16 << 20;

/// How much is read at once.
pub(super) const CHUNK: usize = 64 << 10;

/// What is on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    Bytes(Vec<u8>),
    /// The sender has closed its side.
    End,
    /// A fault, or the reset of the sender.
    Happening(Effect),
}

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Lane {
    direction: Direction,
    /// With the moment each arrives.
    pub(super) queue: VecDeque<(Instant, Item)>,
    queued: usize,
    /// How many bytes were read from the sender so far.
    read: u64,
    /// When the line has taken all that was read so far.
    free_at: Option<Instant>,
    /// Nothing more is read.
    is_read_out: bool,
    /// The receiver was told that nothing more comes.
    pub(super) is_over: bool,
}

/// What the connection is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    Close,
    Reset,
}

impl Lane {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            queue: VecDeque::new(),
            queued: 0,
            read: 0,
            free_at: None,
            is_read_out: false,
            is_over: false,
        }
    }

    /// Puts what was read on its way, with what `faults` do to it. Takes out the faults that it meets.
    pub(super) fn put(&mut self, mut bytes: Vec<u8>, arrival: Instant, faults: &mut Vec<Fault>) {
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

    pub(super) fn wants_to_read(&self) -> bool {
        !self.is_read_out && self.queued < ON_THE_WAY
    }

    pub(super) fn has_arrived(&self, now: Instant) -> bool {
        self.queue.front().is_some_and(|(arrival, _)| *arrival <= now)
    }

    /// Reads once from the sender.
    pub(super) fn take(&mut self, from: &mut TcpStream, shared: &Shared) {
        // On a slow line in pieces of a tenth of a second, so that it trickles as it would.
        let piece = shared
            .bandwidth
            .map_or(CHUNK, |bytes| (bytes as usize / 10).clamp(1, CHUNK));
        let mut buffer = vec![0; piece];
        match from.read(&mut buffer) {
            Ok(0) => {
                self.is_read_out = true;
                let arrival = self.taken(0, Instant::now(), shared) + shared.delay;
                self.push(arrival, Item::End);
            }
            Ok(length) => {
                buffer.truncate(length);
                let arrival = self.taken(length, Instant::now(), shared) + shared.delay;
                let faults = &mut shared.state().faults;
                self.put(buffer, arrival, faults);
            }
            Err(error) if is_not_yet(&error) => {}
            Err(_) => {
                self.is_read_out = true;
                let arrival = self.taken(0, Instant::now(), shared) + shared.delay;
                self.push(arrival, Item::Happening(Effect::Reset));
            }
        }
    }

    /// When the line has taken `length` more bytes that come now.
    fn taken(&mut self, length: usize, now: Instant, shared: &Shared) -> Instant {
        let end = self.read + length as u64;
        let begin = self.free_at.map_or(now, |free| free.max(now));
        let takes = shared.bandwidth.map_or(Duration::ZERO, |bandwidth| {
            Duration::from_secs(length as u64) / bandwidth.max(1)
        });
        let lost = shared.loss.map_or(Duration::ZERO, |loss| {
            let every = u64::from(loss.every.max(1));
            let times = end / every - self.read / every;
            loss.pause * u32::try_from(times).unwrap_or(u32::MAX)
        });
        let free = begin + takes + lost;
        self.free_at = Some(free);
        free
    }

    /// Hands the receiver what has arrived, as far as it takes it.
    pub(super) fn give(&mut self, to: &mut TcpStream, now: Instant, shared: &Shared) -> Verdict {
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
