//! Where secrets are kept, behind one door: AWS Secrets Manager, an age-encrypted file in the project, a command's output, the environment.
//! It knows nothing of hosts, plans or how values get to where they are used.
//!
//! What it promises: versions are learnt without reading values where the store allows it; a value is of exactly the version that was
//! asked for, or an error; no value is in an error, a `Debug`, a trace or an argument vector; a value's memory is wiped when it is dropped.

mod aws;
mod command;
mod config;
mod document;
mod embedded;
mod environment;
mod error;
mod escape;
mod fingerprint;
mod item;
mod json_key;
mod stores;
mod surroundings;
mod terminal;
mod value;
mod write;

pub use config::{AgeConfig, AwsConfig, CONFIG_FILE, Config, DefaultStore};
pub use document::{Finding, FindingKind, Findings};
pub use embedded::{Listed, Listing, Rekeyed, STORE_FILE, check_name, new_store, recipient_of};
pub use error::{Problem, StoreError};
pub use item::{Item, Source, Version};
pub use stores::Stores;
pub use surroundings::{Passphrase, Surroundings};
pub use terminal::{NoAnswer, ask_hidden};
pub use value::{MAX_VALUE_BYTES, SecretValue};
