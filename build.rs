//! Builds the agent as a static program and hands it to the command line, which carries it inside.
//! A release may set `PROVISION_AGENT_BINARY` to one that was built before; this script then builds nothing.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let embedded = out.join("provision-agent");
    println!("cargo::rerun-if-env-changed=PROVISION_AGENT_BINARY");
    let built = match env::var_os("PROVISION_AGENT_BINARY") {
        Some(binary) => {
            let binary = PathBuf::from(binary);
            println!("cargo::rerun-if-changed={}", binary.display());
            binary
        }
        None => build(&out)?,
    };
    std::fs::copy(&built, &embedded).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(())
}

/// A second cargo, with a target directory of its own: the outer one holds the lock of the usual one.
fn build(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    for input in [
        "crates/agent",
        "crates/core/src/model",
        "crates/core/src/wire",
        "crates/core/Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo::rerun-if-changed={input}");
    }
    let target = env::var("TARGET")?;
    if !target.contains("linux") {
        return Err(format!(
            "the agent runs on Linux and cannot be built for {target}: set PROVISION_AGENT_BINARY to one built on Linux"
        )
        .into());
    }
    let mut cargo = Command::new(env::var("CARGO")?);
    // Wrappers such as clippy's are for the outer build.
    for variable in [
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(variable);
    }
    let target_dir = out.join("agent-target");
    let profile = if env::var("PROFILE")? == "release" {
        "agent"
    } else {
        "agent-dev"
    };
    let status = cargo
        .args([
            "build",
            "--package",
            "provision-agent",
            "--profile",
            profile,
            "--target",
            &target,
            "--target-dir",
        ])
        .arg(&target_dir)
        // One program for every distribution. Naming the target keeps the flag from build scripts and proc-macros.
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .status()?;
    if !status.success() {
        return Err("the agent did not build; its errors are above".into());
    }
    Ok(target_dir.join(target).join(profile).join("provision-agent"))
}
