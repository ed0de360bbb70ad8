//! The least that a client with our SSH library can do: this program itself, started to log in, run `true` and end. What `provision`
//! takes beyond it is `provision`'s own.

use std::error::Error;
use std::process::Command;

use provision_ssh::{Deadlines, Environment, Target, connect};

use crate::lab::Reach;

/// What this program is started with to be that client.
pub(crate) const ARGUMENT: &str = "log-in";

/// How to start it.
pub(crate) fn command(to: &Reach) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(ARGUMENT)
        .args([
            to.address.ip().to_string(),
            to.address.port().to_string(),
            to.host_key.clone(),
        ])
        .arg(&to.identity)
        .env_remove("SSH_AUTH_SOCK")
        .env("HOME", "/nonexistent");
    Ok(command)
}

/// What it then does.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn log_in(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [address, port, host_key, identity] = arguments else {
        return Err("address, port, host key, identity".into());
    };
    let target = Target {
        address: Some(address.clone()),
        port: Some(port.parse()?),
        user: Some("root".to_owned()),
        host_keys: vec![host_key.clone()],
        identity_files: vec![identity.into()],
        ..Target::named("bare")
    };
    let connection = connect(&target, &Environment::from_process(), &Deadlines::default()).await?;
    let output = connection.exec("true").await?.output(&[], 1024).await?;
    if !output.exit.success() {
        return Err("true was not run".into());
    }
    connection.close().await;
    Ok(())
}
