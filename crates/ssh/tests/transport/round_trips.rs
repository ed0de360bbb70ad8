//! How often we wait for the network, beside the OpenSSH client.

use std::time::{Duration, Instant};

use provision_ssh::{Deadlines, Target, connect};

use crate::{
    proxy::{Fault, Proxy},
    sshd::Sshd,
};

/// Both run `true` through a proxy that adds 50 ms each way and counts the answers they wait for
/// (TCP's own handshake ends at the proxy). We save the `none` request, which OpenSSH sends to
/// learn the methods.
#[tokio::test(flavor = "multi_thread")]
async fn connecting_and_running_takes_fewer_round_trips_than_openssh() {
    let sshd = Sshd::start();
    let environment = sshd.environment();

    let proxy = Proxy::start(sshd.port, Duration::from_millis(50), Fault::None).await;
    let target = Target {
        port: Some(proxy.port),
        ..sshd.target()
    };
    let started = Instant::now();
    let connection = connect(&target, &environment, &Deadlines::default()).await.unwrap();
    let output = connection
        .exec("cat")
        .await
        .unwrap()
        .output(b"with input", 20)
        .await
        .unwrap();
    assert_eq!(output.stdout, b"with input");
    let (ours, took) = (proxy.turns(), started.elapsed());

    let proxy = Proxy::start(sshd.port, Duration::from_millis(50), Fault::None).await;
    let mut ssh = sshd.ssh(proxy.port);
    ssh.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
    ])
    .args(["127.0.0.1", "true"]);
    let started = Instant::now();
    let status = tokio::task::spawn_blocking(move || ssh.status())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success());
    let openssh = proxy.turns();
    println!(
        "round trips after TCP: ours {ours} ({took:?}), OpenSSH {openssh} ({:?})",
        started.elapsed()
    );
    assert!(ours < openssh, "ours {ours}, OpenSSH {openssh}");
}
