//! Each kind on a real host: created, left alone, drifted, updated, removed. Faults are elsewhere.

mod file;
