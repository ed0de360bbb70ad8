//! Stores against the real things: the AWS SDK against a strict stand-in for AWS, the embedded store against age's own program.
//! `tests/run` installs what this needs: Python with venv, and age.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod age_program;
mod aws;
mod leaks;
mod refusals;
mod scene;
#[expect(
    dead_code,
    reason = "it is shared with the tests of fetching, which use the rest of it"
)]
mod stand_in;
