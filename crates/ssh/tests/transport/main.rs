//! The transport against real OpenSSH and against servers that misbehave on purpose.

#[cfg(test)]
mod agent;
#[cfg(test)]
mod config;
#[cfg(test)]
mod evil;
#[cfg(test)]
mod host_keys;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod real;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod sshd;
