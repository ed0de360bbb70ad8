//! Measures how long it takes until throwaway hosts are there: one, then the same one after a power cut, then ten at once.
//! It compares nothing and decides nothing.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, Instant};

use provision_rehearse::{BaseOptions, HostOptions, Missing, Release, ThrowawayHost, base, install_missing, preflight};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    if preflight().is_err() {
        install_missing(&mut |_| {})?;
    }
    preflight().map_err(|missing| {
        let texts: Vec<_> = missing.iter().map(Missing::to_string).collect();
        texts.join("\n")
    })?;
    let release = std::env::args()
        .nth(1)
        .map_or(Ok(Release::Debian12), |name| name.parse())?;

    let start = Instant::now();
    let image = base(&BaseOptions::new(release), &mut |_| {})?;
    writeln!(out, "base image:            {:6.2} s", seconds(start))?;

    let start = Instant::now();
    let mut host = ThrowawayHost::start(&image, &HostOptions::named("first"))?;
    let begun = seconds(start);
    host.wait_ready(Duration::from_secs(60))?;
    let ready = seconds(start);
    let status = host.ssh().arg("true").status()?;
    writeln!(
        out,
        "first host:            {ready:6.2} s booted and sshd greets (started after {begun:.2} s, first ssh done after {:.2} s: {status})",
        seconds(start)
    )?;

    let start = Instant::now();
    host.power_cut()?;
    let off = seconds(start);
    host.boot()?;
    host.wait_ready(Duration::from_secs(60))?;
    writeln!(
        out,
        "power cut:             {off:6.2} s to off, {:.2} s to ready again",
        seconds(start)
    )?;

    let start = Instant::now();
    host.destroy()?;
    writeln!(out, "destroyed:             {:6.2} s", seconds(start))?;

    let start = Instant::now();
    let hosts = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=10)
            .map(|number| {
                let image = &image;
                scope.spawn(move || {
                    let options = HostOptions::named(&format!("host-{number}"));
                    let host = ThrowawayHost::start(image, &options).map_err(|error| error.to_string())?;
                    host.wait_ready(Duration::from_secs(120))
                        .map_err(|error| error.to_string())?;
                    Ok::<_, String>(host)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
            .collect::<Result<Vec<_>, String>>()
    })?;
    writeln!(out, "ten hosts:             {:6.2} s", seconds(start))?;

    let start = Instant::now();
    drop(hosts);
    writeln!(out, "ten hosts destroyed:   {:6.2} s", seconds(start))?;
    Ok(())
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
