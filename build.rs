//! Builds the programs that run on hosts as static ones and hands them to the command line, which carries them inside.
//! A release may set `PROVISION_AGENT_BINARY` and `PROVISION_FETCH_BINARY` to ones that were built before; those are not built then.

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that runs on hosts.
struct Program {
    /// The package, and the program's name.
    name: &'static str,
    /// The variable that names one that was built before.
    variable: &'static str,
    /// What it is built from, besides `Cargo.lock`.
    inputs: &'static [&'static str],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "provision-agent",
        variable: "PROVISION_AGENT_BINARY",
        inputs: &[
            "crates/agent",
            "crates/core/src/model",
            "crates/core/src/wire",
            "crates/core/Cargo.toml",
        ],
    },
    Program {
        name: "provision-fetch-secrets",
        variable: "PROVISION_FETCH_BINARY",
        inputs: &["crates/fetch/src", "crates/fetch/Cargo.toml"],
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for program in PROGRAMS {
        println!("cargo::rerun-if-env-changed={}", program.variable);
        let built = match env::var_os(program.variable) {
            Some(binary) => {
                let binary = PathBuf::from(binary);
                println!("cargo::rerun-if-changed={}", binary.display());
                binary
            }
            None => build(&program, &out)?,
        };
        std::fs::copy(&built, out.join(program.name))
            .map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    }
    Ok(())
}

/// A second cargo, with a target directory of its own: the outer one holds the lock of the usual one.
fn build(program: &Program, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let Program { name, variable, inputs } = program;
    for input in inputs.iter().chain(&["Cargo.lock"]) {
        println!("cargo::rerun-if-changed={input}");
    }
    let target = env::var("TARGET")?;
    if !target.contains("linux") {
        return Err(format!(
            "{name} runs on Linux and cannot be built for {target}: set {variable} to one built on Linux"
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
            name,
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
        return Err(format!("{name} did not build; its errors are above").into());
    }
    Ok(target_dir.join(target).join(profile).join(name))
}
