//! The program that runs on hosts.

mod accounts;
mod child;
mod disk;
mod observe;
mod systemd;
#[cfg(test)]
mod testing;

fn main() {}
