//! Real OpenSSH servers and agents.

use provision_ssh::{Deadlines, Status, connect};

use crate::sshd::Sshd;

#[tokio::test]
async fn a_command_gets_its_input_and_returns_its_output_and_status() {
    let sshd = Sshd::start();
    let connection = connect(&sshd.target(), &sshd.environment(), &Deadlines::default())
        .await
        .unwrap();
    assert_eq!(connection.endpoint().port, sshd.port);
    let exec = connection.exec("cat; printf 'oh\\033[1mno' >&2; exit 7").await.unwrap();
    let output = exec.output(b"hello", 100).await.unwrap();
    assert_eq!(output.stdout, b"hello");
    assert_eq!(output.exit.status, Status::Exited(7));
    assert_eq!(output.exit.stderr.escaped(), "oh\\u{1b}[1mno");
    connection.close().await;
}
