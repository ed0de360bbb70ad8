//! The link does to a stream what it is told, and nothing else.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::*;

/// A host that sends back what it gets, until the sender ends; then it ends too. Serves connections one after the other.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                if stream.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
        }
    });
    address
}

fn link(options: LinkOptions) -> Link {
    Link::start(echo(), options).unwrap()
}

fn connect(link: &Link) -> TcpStream {
    let stream = TcpStream::connect(link.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn with_fault(direction: Direction, at: u64, effect: Effect) -> Link {
    link(LinkOptions {
        faults: vec![Fault { direction, at, effect }],
        ..LinkOptions::default()
    })
}

fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    back
}

/// Everything until the connection's end, and how it ended.
fn rest(stream: &mut TcpStream) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let mut one = [0; 1];
    loop {
        match stream.read(&mut one) {
            Ok(0) => return (bytes, Ok(())),
            Ok(_) => bytes.push(one[0]),
            Err(error) => return (bytes, Err(error.kind())),
        }
    }
}

#[test]
fn bytes_pass_in_order_and_ends_are_passed_on() {
    let link = link(LinkOptions::default());
    let mut stream = connect(&link);
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing: JoinHandle<()> = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "{} bytes came back of {}", back.len(), sent.len());
}

#[test]
fn a_round_trip_takes_twice_the_delay_and_connecting_what_it_would() {
    let delay = Duration::from_millis(30);
    let link = link(LinkOptions {
        delay,
        ..LinkOptions::default()
    });
    let start = Instant::now();
    let mut stream = connect(&link);
    exchange(&mut stream, b"first");
    // A handshake is a round trip, and so is the echo.
    assert!(start.elapsed() >= delay * 4, "{:?}", start.elapsed());
    let start = Instant::now();
    exchange(&mut stream, b"second");
    let trip = start.elapsed();
    assert!(trip >= delay * 2, "{trip:?}");
    // Twice that is a second round trip somewhere.
    assert!(trip < delay * 4, "{trip:?}");
}

#[test]
fn many_bytes_on_the_way_do_not_wait_for_one_another() {
    let delay = Duration::from_millis(50);
    let link = link(LinkOptions {
        delay,
        ..LinkOptions::default()
    });
    let mut stream = connect(&link);
    exchange(&mut stream, b"warm");
    let start = Instant::now();
    for _ in 0..20 {
        stream.write_all(b"x").unwrap();
    }
    let mut back = [0; 20];
    stream.read_exact(&mut back).unwrap();
    // One after the other they would take 20 round trips, 2 s.
    assert!(start.elapsed() < delay * 10, "{:?}", start.elapsed());
}

#[test]
fn a_slow_line_lets_so_many_bytes_pass_in_a_second_and_a_lossy_one_pauses() {
    let slow = link(LinkOptions {
        bandwidth: Some(100_000),
        ..LinkOptions::default()
    });
    let mut stream = connect(&slow);
    let start = Instant::now();
    exchange(&mut stream, &[7; 20_000]);
    // 0.2 s one way; on the way back the first bytes travel while the last still come.
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");

    let pause = Duration::from_millis(150);
    let lossy = link(LinkOptions {
        loss: Some(Loss { every: 1000, pause }),
        ..LinkOptions::default()
    });
    let mut stream = connect(&lossy);
    let start = Instant::now();
    exchange(&mut stream, &[7; 900]);
    let before = start.elapsed();
    assert!(before < pause, "nothing is lost yet: {before:?}");
    exchange(&mut stream, &[7; 900]);
    // Once on the way there, and once on the way back.
    assert!(start.elapsed() >= pause * 2, "{:?}", start.elapsed());
}

#[test]
fn a_reset_falls_at_its_byte() {
    let link = with_fault(Direction::FromHost, 3, Effect::Reset);
    let mut stream = connect(&link);
    stream.write_all(b"abcdef").unwrap();
    let (bytes, end) = rest(&mut stream);
    // What was delivered before a reset may be thrown away by the receiver's kernel, but nothing behind it arrives.
    assert!(b"abc".starts_with(bytes.as_slice()), "{bytes:?}");
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
    assert_eq!(link.pending_faults(), []);
    // It happens once: the next connection is whole.
    assert_eq!(exchange(&mut connect(&link), b"abcdef"), b"abcdef");
}

#[test]
fn an_orderly_end_falls_at_its_byte() {
    let link = with_fault(Direction::FromHost, 3, Effect::Close);
    let mut stream = connect(&link);
    stream.write_all(b"abcdef").unwrap();
    assert_eq!(rest(&mut stream), (b"abc".to_vec(), Ok(())));
}

#[test]
fn an_end_can_fall_before_the_first_byte() {
    let link = with_fault(Direction::FromHost, 0, Effect::Close);
    assert_eq!(rest(&mut connect(&link)), (Vec::new(), Ok(())));
}

#[test]
fn one_byte_is_flipped() {
    let link = with_fault(Direction::ToHost, 2, Effect::Flip(0x20));
    let mut stream = connect(&link);
    assert_eq!(exchange(&mut stream, b"abcdef"), b"abCdef");
    assert_eq!(exchange(&mut stream, b"abcdef"), b"abcdef");
}

#[test]
fn a_black_hole_swallows_silently_and_healing_delivers() {
    let link = with_fault(Direction::FromHost, 2, Effect::BlackHole);
    let mut stream = connect(&link);
    stream.write_all(b"abcd").unwrap();
    let mut two = [0; 2];
    stream.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"ab");
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut one = [0; 1];
    let silent = |error: std::io::Error| error.kind() == ErrorKind::WouldBlock;
    assert!(stream.read(&mut one).is_err_and(silent));
    // New connections are accepted and hear nothing either.
    let mut other = connect(&link);
    other.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    other.write_all(b"x").unwrap();
    assert!(other.read(&mut one).is_err_and(silent));
    link.heal();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"cd");
}

#[test]
fn a_cut_resets_what_there_is_and_what_comes_until_it_heals() {
    let link = link(LinkOptions::default());
    let mut stream = connect(&link);
    exchange(&mut stream, b"ab");
    link.cut();
    assert_eq!(rest(&mut stream).1, Err(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut connect(&link)).1, Err(ErrorKind::ConnectionReset));
    link.heal();
    assert_eq!(exchange(&mut connect(&link), b"ab"), b"ab");
}

#[test]
fn a_host_that_is_not_there_is_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let link = Link::start(nobody, LinkOptions::default()).unwrap();
    assert_eq!(rest(&mut connect(&link)).1, Err(ErrorKind::ConnectionReset));
}

#[test]
fn dropping_the_link_ends_its_connections() {
    let link = link(LinkOptions::default());
    let mut stream = connect(&link);
    exchange(&mut stream, b"ab");
    let address = link.address();
    drop(link);
    assert_eq!(rest(&mut stream).1, Err(ErrorKind::ConnectionReset));
    assert!(TcpStream::connect(address).is_err());
}
