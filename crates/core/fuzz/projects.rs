//! Whole projects: TOML, the loader of hosts, groups and modules, and all that resolving makes of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use provision_fuzz::{survive, unpacked};

fuzz_target!(|text: &[u8]| drop(survive(&unpacked(text))));
