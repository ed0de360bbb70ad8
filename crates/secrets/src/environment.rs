//! A secret from a variable of this process's environment, for CI: byte for byte. It looks at no other variable.

use std::os::unix::ffi::OsStringExt as _;

use crate::error::Problem;
use crate::value::{MAX_VALUE_BYTES, SecretValue};

/// The variable's value.
pub(crate) fn value(variable: &str) -> Result<SecretValue, Problem> {
    // `var_os` panics at no name; one with `=` or NUL is never set.
    let value = std::env::var_os(variable).ok_or(Problem::Unset)?;
    let value = SecretValue::new(value.into_vec());
    if value.len() > MAX_VALUE_BYTES {
        return Err(Problem::TooLarge);
    }
    Ok(value)
}
