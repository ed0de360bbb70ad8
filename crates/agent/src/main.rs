//! The program that runs on hosts.

fn main() {}
