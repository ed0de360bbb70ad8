//! Where a tunnel begins and leads, and what fails in it.

use std::net::SocketAddr;

use provision_core::model::HostName;
use serde_json::json;

use super::json::{FORMAT_VERSION, line};
use super::style::{Palette, paint};
use super::words;
use crate::drive::Way;

/// What a browser takes. Which protocol is spoken there nobody has looked at: it is taken for HTTP, and on TLS's own port for
/// HTTPS.
fn url(local: SocketAddr, way: &Way) -> String {
    let scheme = if way.port == 443 { "https" } else { "http" };
    format!("{scheme}://{local}/")
}

/// The tunnel's beginning, alone on its line.
#[must_use]
pub fn open_text(local: SocketAddr, way: &Way) -> String {
    format!("{}\n", url(local, way))
}

/// What is said beside it.
#[must_use]
pub fn open_words(host: &HostName, local: SocketAddr, way: &Way) -> String {
    format!(
        "{local} leads to {}:{} as {host} sees it; Ctrl-C closes it\n",
        words::safe(&way.address),
        way.port
    )
}

/// A connection that came to nothing.
#[must_use]
pub fn failed_words(problem: &str, palette: Palette) -> String {
    format!("{} {}\n", paint(palette.warning(), "warning:"), words::safe(problem))
}

/// The tunnel's beginning, for programs.
#[must_use]
pub fn open_line(host: &HostName, local: SocketAddr, way: &Way) -> String {
    line(&json!({
        "format_version": FORMAT_VERSION,
        "type": "tunnel",
        "host": host,
        "url": url(local, way),
        "local": local.port(),
        "address": way.address,
        "port": way.port,
    }))
}
