//! How often we wait for the network, beside the OpenSSH client.

use std::time::Duration;

use provision_ssh::{Deadlines, Target, connect};

use crate::{
    proxy::{Fault, Proxy},
    sshd::Sshd,
};

/// Both run a command through a proxy that adds 50 ms each way and counts the answers they wait for
/// (TCP's own handshake ends at the proxy). We save the `none` request, by which OpenSSH learns the
/// methods. Answers that happen to arrive together count once, so a busy machine may need a second
/// look; were there really as many, no look would help.
#[tokio::test(flavor = "multi_thread")]
async fn connecting_and_running_takes_fewer_round_trips_than_openssh() {
    let sshd = Sshd::start();
    let mut looks = Vec::new();
    for _ in 0..3 {
        let (ours, openssh) = (our_turns(&sshd).await, openssh_turns(&sshd).await);
        looks.push((ours, openssh));
        if ours < openssh {
            return;
        }
    }
    panic!("answers waited for by us and by OpenSSH: {looks:?}");
}

const ONE_WAY: Duration = Duration::from_millis(50);

async fn our_turns(sshd: &Sshd) -> u64 {
    let proxy = Proxy::start(sshd.port, ONE_WAY, Fault::None).await;
    let target = Target {
        port: Some(proxy.port),
        ..sshd.target()
    };
    let connection = connect(&target, &sshd.environment(), &Deadlines::default())
        .await
        .unwrap();
    // Input is on its way before the server has said that the command runs.
    let output = connection
        .exec("cat")
        .await
        .unwrap()
        .output(b"with input", 20)
        .await
        .unwrap();
    assert_eq!(output.stdout, b"with input");
    proxy.turns()
}

async fn openssh_turns(sshd: &Sshd) -> u64 {
    let proxy = Proxy::start(sshd.port, ONE_WAY, Fault::None).await;
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
    let status = tokio::task::spawn_blocking(move || ssh.status())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success());
    proxy.turns()
}
