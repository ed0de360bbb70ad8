//! The transport against real OpenSSH and against servers that misbehave on purpose.

#[cfg(test)]
mod real;
#[cfg(test)]
mod sshd;
