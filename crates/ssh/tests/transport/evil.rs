//! Servers that are silent, cut the line, offer only weak algorithms, open channels, or never stop
//! talking.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use provision_ssh::{
    ConnectError, ConnectErrorKind, Connection, Deadlines, ExecError, Stage, Status, Step, Target, connect,
};
use russh::{
    Channel, ChannelId, Preferred,
    keys::{Algorithm, PrivateKey, ssh_key},
    server::{self, Auth, Msg, Session},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use crate::{
    proxy::{Fault, Proxy},
    sshd::{Sshd, environment, short},
};

/// Short enough to wait for, long enough for a loaded machine to log in.
fn impatient() -> Deadlines {
    Deadlines {
        exit: Duration::from_millis(700),
        keepalive: Duration::from_millis(150),
        keepalives: 3,
        ..short()
    }
}

/// A target on loopback without keys, for servers that never get that far.
fn anonymous(port: u16) -> Target {
    Target {
        address: Some("127.0.0.1".to_owned()),
        port: Some(port),
        ..Target::named("evil")
    }
}

/// Listens, does this with each connection, and says where.
async fn serve<F, S>(serve: S) -> u16
where
    F: Future<Output = ()> + Send,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    port
}

/// Makes a test that would hang fail instead.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(15), future)
        .await
        .expect("it should have ended by itself")
}

async fn refused(port: u16) -> (ConnectError, Duration) {
    let home = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (target, environment, deadlines) = (anonymous(port), environment(home.path()), impatient());
    let result = soon(connect(&target, &environment, &deadlines)).await;
    (result.unwrap_err(), started.elapsed())
}

#[tokio::test]
async fn silence_before_the_banner_ends_within_the_deadline() {
    let port = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let (error, took) = refused(port).await;
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut(Stage::Banner), "{error}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_dripping_banner_ends_within_the_deadline() {
    let port = serve(|mut stream| async move {
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (error, took) = refused(port).await;
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut(Stage::KeyExchange), "{error}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// A client task that outlives its caller would wait for this server for ever.
#[tokio::test]
async fn a_timed_out_handshake_leaves_no_connection_behind() {
    let (closed, end_seen) = oneshot::channel();
    let closed = std::sync::Mutex::new(Some(closed));
    let port = serve(move |mut stream| {
        let closed = closed.lock().unwrap().take();
        async move {
            stream.write_all(b"SSH-2.0-evil\r\n").await.unwrap();
            let mut sink = Vec::new();
            let _ = stream.read_to_end(&mut sink).await;
            let _ = closed.unwrap().send(());
        }
    })
    .await;
    let (error, _) = refused(port).await;
    assert_eq!(error.kind(), ConnectErrorKind::TimedOut(Stage::KeyExchange), "{error}");
    tokio::time::timeout(Duration::from_secs(2), end_seen)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn garbage_instead_of_ssh_is_a_protocol_error() {
    for garbage in [
        &b"x\n".repeat(64)[..],
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0",
    ] {
        let garbage = garbage.to_vec();
        let port = serve(move |mut stream| {
            let garbage = garbage.clone();
            async move {
                stream.write_all(&garbage).await.unwrap();
                let mut sink = Vec::new();
                let _ = stream.read_to_end(&mut sink).await;
            }
        })
        .await;
        let (error, _) = refused(port).await;
        assert_eq!(error.kind(), ConnectErrorKind::Protocol, "{error}");
    }
}

/// Not SSH, or SSH that takes nobody at the moment: what it said is told, and it is told from a broken protocol.
#[tokio::test]
async fn a_server_that_hangs_up_instead_of_greeting_is_told_as_such() {
    for said in ["", "Exceeded MaxStartups\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let port = serve(move |mut stream| async move {
            stream.write_all(said.as_bytes()).await.unwrap();
            // The client's own greeting is read, or closing would be a reset that loses what was said.
            let mut sink = [0; 4096];
            let _ = stream.read(&mut sink).await;
        })
        .await;
        let (error, _) = refused(port).await;
        assert_eq!(error.kind(), ConnectErrorKind::Ungreeted, "{said:?}: {error}");
        let told = error.to_string();
        assert!(
            told.contains("before it greeted") && told.contains(said.trim()),
            "{told}"
        );
    }
}

/// The server goes silent, or the line is cut, after every so many bytes of a whole real session.
#[tokio::test(flavor = "multi_thread")]
async fn silence_and_cuts_anywhere_in_a_session_end_it_in_time() {
    let sshd = Arc::new(Sshd::start());
    let environment = sshd.environment();
    let session = |proxy_port: u16, sshd: Arc<Sshd>, environment: provision_ssh::Environment, deadlines| async move {
        let deadlines: Deadlines = deadlines;
        let target = Target {
            port: Some(proxy_port),
            ..sshd.target()
        };
        let connection = connect(&target, &environment, &deadlines)
            .await
            .map_err(|error| error.to_string())?;
        let exec = connection
            .exec("cat; exit 3")
            .await
            .map_err(|error| error.to_string())?;
        exec.output(b"some input", 100).await.map_err(|error| error.to_string())
    };
    let whole = Proxy::start(sshd.port, Duration::ZERO, Fault::None).await;
    let output = session(whole.port, Arc::clone(&sshd), environment.clone(), Deadlines::default())
        .await
        .unwrap();
    assert_eq!(output.exit.status, Status::Exited(3));
    let total = whole.server_bytes();

    let faults = (0..total - 200)
        .step_by(173)
        .flat_map(|at| [Fault::Silence(at), Fault::Cut(at)]);
    let mut waves = faults.collect::<Vec<_>>().into_iter();
    loop {
        // A few at a time: sshd does the key exchange of each, on two cores.
        let wave: Vec<_> = waves.by_ref().take(12).collect();
        if wave.is_empty() {
            break;
        }
        let mut running = tokio::task::JoinSet::new();
        for fault in wave {
            let (sshd, environment) = (Arc::clone(&sshd), environment.clone());
            running.spawn(async move {
                let proxy = Proxy::start(sshd.port, Duration::ZERO, fault).await;
                let started = Instant::now();
                let result = soon(session(proxy.port, sshd, environment, impatient())).await;
                (result.map(|output| output.exit.status), started.elapsed())
            });
        }
        while let Some(done) = running.join_next().await {
            let (result, took) = done.unwrap();
            assert!(result.is_err(), "a broken session must not succeed: {result:?}");
            assert!(took < Duration::from_secs(4), "{result:?} took {took:?}");
        }
    }
}

/// An SSH KEXINIT packet with one algorithm per list, after a banner.
fn kex_init(kex: &str, key: &str, cipher: &str, mac: &str, compression: &str) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    for list in [kex, key, cipher, cipher, mac, mac, compression, compression, "", ""] {
        payload.extend((list.len() as u32).to_be_bytes());
        payload.extend(list.as_bytes());
    }
    payload.extend([0; 5]);
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let mut packet = ((payload.len() + padding + 1) as u32).to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend(payload);
    packet.extend(vec![0; padding]);
    [b"SSH-2.0-evil\r\n".to_vec(), packet].concat()
}

#[tokio::test]
async fn weak_algorithms_are_never_agreed_on() {
    let (kex, key, cipher, mac) = (
        "curve25519-sha256",
        "ssh-ed25519",
        "aes256-ctr",
        "hmac-sha2-256-etm@openssh.com",
    );
    for (what, packet) in [
        ("compression", kex_init(kex, key, cipher, mac, "zlib@openssh.com,zlib")),
        ("host key", kex_init(kex, "ssh-rsa,ssh-dss", cipher, mac, "none")),
        ("cipher", kex_init(kex, key, "aes256-cbc,3des-cbc,none", mac, "none")),
        ("MAC", kex_init(kex, key, cipher, "hmac-sha1,hmac-md5,none", "none")),
        (
            "key exchange",
            kex_init(
                "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1",
                key,
                cipher,
                mac,
                "none",
            ),
        ),
    ] {
        let port = serve(move |mut stream| {
            let packet = packet.clone();
            async move {
                stream.write_all(&packet).await.unwrap();
                let mut sink = Vec::new();
                let _ = stream.read_to_end(&mut sink).await;
            }
        })
        .await;
        match refused(port).await.0 {
            ConnectError::NoCommonAlgorithm { what: found, .. } => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// What the in-process server does once a client is in.
#[derive(Clone, Copy, PartialEq)]
enum Script {
    /// Opens channels of every kind on the client's side, then ends the command with how many the
    /// client accepted.
    OpenChannels,
    /// Never answers a channel open.
    SilentOpen,
    /// Opens the channel and never answers the exec.
    SilentExec,
    /// Refuses the exec.
    RefuseExec,
    /// Starts the command, and reads no input.
    IgnoreInput,
    /// Says the command ended, as far as output goes, and never how.
    NoStatus,
}

#[derive(Clone)]
struct Evil {
    script: Script,
    accepted: Arc<AtomicUsize>,
    stuck: Arc<tokio::sync::Mutex<Vec<Channel<Msg>>>>,
}

impl server::Handler for Evil {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: server::VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.script == Script::SilentOpen {
            std::future::pending::<()>().await;
        }
        reply.accept().await;
        self.stuck.lock().await.push(channel);
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, _: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        match self.script {
            Script::SilentExec | Script::SilentOpen => {}
            Script::RefuseExec => session.channel_failure(id)?,
            Script::IgnoreInput => {
                session.channel_success(id)?;
                // Not returning keeps the server from reading, so the window never grows.
                std::future::pending::<()>().await;
            }
            Script::NoStatus => {
                session.channel_success(id)?;
                session.eof(id)?;
            }
            Script::OpenChannels => {
                session.channel_success(id)?;
                let (handle, accepted) = (session.handle(), Arc::clone(&self.accepted));
                tokio::spawn(async move {
                    for _ in 0..20 {
                        let opened = [
                            handle.channel_open_session().await.is_ok(),
                            handle.channel_open_agent().await.is_ok(),
                            handle.channel_open_x11("a", 1).await.is_ok(),
                            handle.channel_open_forwarded_tcpip("a", 1, "b", 2).await.is_ok(),
                            handle.channel_open_forwarded_streamlocal("/a").await.is_ok(),
                            handle.channel_open_direct_tcpip("a", 1, "b", 2).await.is_ok(),
                            handle.channel_open_direct_streamlocal("/a").await.is_ok(),
                        ];
                        accepted.fetch_add(opened.iter().filter(|opened| **opened).count(), Ordering::SeqCst);
                    }
                    let _ = handle.exit_status_request(id, 0).await;
                    let _ = handle.close(id).await;
                });
            }
        }
        Ok(())
    }
}

/// Starts the in-process server, and connects to it with its key pinned.
async fn evil(script: Script, preferred: Preferred) -> (Result<Connection, ConnectError>, Arc<AtomicUsize>) {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let pin = key.public_key().to_openssh().unwrap();
    let config = Arc::new(server::Config {
        keys: vec![key],
        preferred,
        ..server::Config::default()
    });
    let accepted = Arc::new(AtomicUsize::new(0));
    let handler = Evil {
        script,
        accepted: Arc::clone(&accepted),
        stuck: Arc::default(),
    };
    let port = serve(move |stream| {
        let (config, handler) = (Arc::clone(&config), handler.clone());
        async move {
            tokio::spawn(async move { server::run_stream(config, stream, handler).await.unwrap().await });
        }
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let identity = home.path().join("id");
    let own = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    own.write_openssh_file(&identity, ssh_key::LineEnding::LF).unwrap();
    let target = Target {
        host_keys: vec![pin],
        identity_files: vec![identity],
        ..anonymous(port)
    };
    // The login is not what is tested: it may take its time on a busy machine.
    let deadlines = Deadlines {
        write: Duration::from_millis(700),
        handshake: Duration::from_secs(10),
        ..impatient()
    };
    (connect(&target, &environment(home.path()), &deadlines).await, accepted)
}

#[tokio::test]
async fn a_server_can_open_nothing_on_our_side() {
    let (connection, accepted) = evil(Script::OpenChannels, Preferred::DEFAULT).await;
    let output = connection
        .unwrap()
        .exec("x")
        .await
        .unwrap()
        .output(b"", 0)
        .await
        .unwrap();
    assert!(output.exit.success());
    assert_eq!(accepted.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn neither_strict_key_exchange_nor_gcm_is_refused() {
    let without_strict = |cipher| Preferred {
        kex: Cow::Owned(vec![russh::kex::CURVE25519]),
        cipher: Cow::Owned(vec![cipher]),
        ..Preferred::DEFAULT
    };
    for cipher in [russh::cipher::CHACHA20_POLY1305, russh::cipher::AES_256_CTR] {
        let (result, _) = evil(Script::NoStatus, without_strict(cipher)).await;
        assert!(matches!(result, Err(ConnectError::Truncatable { .. })), "{result:?}");
    }
    let (result, _) = evil(Script::NoStatus, without_strict(russh::cipher::AES_256_GCM)).await;
    result.unwrap();
}

#[tokio::test]
async fn every_silence_after_login_has_a_deadline() {
    let run = |script, input: usize| async move {
        let connection = evil(script, Preferred::DEFAULT).await.0.unwrap();
        let exec = soon(connection.exec("x")).await?;
        soon(exec.output(&vec![0; input], 100))
            .await
            .map(|output| output.exit.status)
    };
    let step = |result: Result<Status, ExecError>| match result {
        Err(ExecError::TimedOut { step, .. }) => step,
        other => panic!("{other:?}"),
    };
    // Keepalives would end a silent connection first; here the server is silent about one thing.
    assert!(matches!(
        run(Script::RefuseExec, 0).await,
        Err(ExecError::Refused { .. })
    ));
    assert_eq!(step(run(Script::SilentExec, 0).await), Step::Start);
    assert_eq!(step(run(Script::NoStatus, 0).await), Step::Exit);
    // These two stop serving the connection altogether.
    for (script, input) in [(Script::SilentOpen, 0), (Script::IgnoreInput, 8 << 20)] {
        let started = Instant::now();
        let result = run(script, input).await;
        assert!(
            matches!(result, Err(ExecError::TimedOut { .. } | ExecError::Lost { .. })),
            "{result:?}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{script}",
            script = started.elapsed().as_secs()
        );
    }
}

/// Output that nobody reads stops at the server: it may fill the channel's window, our buffer of
/// messages and the sockets between, and nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn endless_output_is_held_back_at_the_server() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.port, Duration::ZERO, Fault::None).await;
    let target = Target {
        port: Some(proxy.port),
        ..sshd.target()
    };
    let connection = connect(&target, &sshd.environment(), &Deadlines::default())
        .await
        .unwrap();
    let (_stdin, mut stdout) = connection.exec("cat /dev/zero").await.unwrap().split();
    stdout.chunk().await.unwrap().unwrap();
    let mut seen = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = proxy.server_bytes();
        if now == seen {
            break;
        }
        seen = now;
        assert!(seen < 32 << 20, "{seen} bytes arrived that nobody asked for");
    }
    // It goes on once somebody reads.
    let mut read = 0;
    while read < 64 << 20 {
        read += stdout.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_errors_cost_64_kib_and_too_much_output_is_an_error() {
    let sshd = Sshd::start();
    let connection = connect(&sshd.target(), &sshd.environment(), &Deadlines::default())
        .await
        .unwrap();
    let exec = connection.exec("head -c 10000000 /dev/zero >&2").await.unwrap();
    let exit = exec.output(b"", 0).await.unwrap().exit;
    assert_eq!(exit.stderr.bytes().len(), 64 << 10);
    assert_eq!(exit.stderr.dropped(), 10_000_000 - (64 << 10));
    let exec = connection.exec("yes").await.unwrap();
    assert!(matches!(
        exec.output(b"", 1 << 20).await,
        Err(ExecError::TooMuch { .. })
    ));
}
