//! Swap files as the host has them: the file, and how the kernel uses it. Another container's swap file, whatever it is called,
//! is not taken for ours: the kernel is asked about the open file first, and its list only for the figures.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use provision_core::model::{AbsPath, ActiveSwap, SwapfileFound, SwapfileState};

use super::reason;
use crate::disk::{SwapFound, SwapLook, look_at_swapfile};
use crate::examine;

/// What lies at the path, and how it is used.
///
/// # Errors
/// Why it cannot be seen.
pub(crate) fn observe(path: &AbsPath) -> Result<SwapfileState, String> {
    Ok(match look_at_swapfile(path).map_err(|error| reason(&error))? {
        SwapFound::Nothing(room) => SwapfileState::Absent { room },
        SwapFound::Other(what) => SwapfileState::Other { what: what.to_owned() },
        SwapFound::File(look) => {
            let swaps = || fs::read("/proc/swaps").map_err(|error| format!("cannot read /proc/swaps: {error}"));
            SwapfileState::File(SwapfileFound {
                active: look.active.then(|| active(&look, &swaps()?)).transpose()?,
                memory: examine::available_memory().map_err(|why| why.untrusted().to_owned())?,
                size: look.size,
                formatted: look.header.map(|header| header.bytes),
                owner: look.owner,
                mode: look.mode,
                room: Some(look.room),
            })
        }
    })
}

/// The figures of a file that the kernel is known to use.
fn active(look: &SwapLook, swaps: &[u8]) -> Result<ActiveSwap, String> {
    let rows = rows(swaps).ok_or("/proc/swaps has another form than is known")?;
    let mut ours = rows
        .into_iter()
        .filter(|row| row.name == look.seen_as.as_os_str().as_bytes());
    match (ours.next(), ours.next()) {
        (Some(row), None) => Ok(row.active),
        (None, _) => Err(format!(
            "the kernel swaps to it under another name than {}, so that its priority cannot be seen",
            look.seen_as.display()
        )),
        (Some(_), Some(_)) => Err(format!(
            "the kernel swaps to several files called {}, as of other containers, so that its priority cannot be seen",
            Path::new(&look.seen_as).display()
        )),
    }
}

/// A line of `/proc/swaps`.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: Vec<u8>,
    active: ActiveSwap,
}

/// The lines of `/proc/swaps` (proc_swaps(5)), sizes in KiB; `None` where one is none.
fn rows(swaps: &[u8]) -> Option<Vec<Row>> {
    let lines = swaps
        .split(|&byte| byte == b'\n')
        .skip(1)
        .filter(|line| !line.is_empty());
    let row = |line: &[u8]| {
        let mut words = line
            .split(|byte| byte.is_ascii_whitespace())
            .filter(|word| !word.is_empty());
        let name = unescaped(words.next()?);
        let mut number = |skip: usize| std::str::from_utf8(words.nth(skip)?).ok()?.parse::<i64>().ok();
        let used = u64::try_from(number(2)?).ok()?;
        let priority = i32::try_from(number(0)?).ok()?;
        let used = used.saturating_mul(1024);
        Some(Row {
            name,
            active: ActiveSwap { priority, used },
        })
    };
    lines.map(row).collect()
}

/// Undoes the kernel's `\040`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(|_| first == b'\\') {
            Some(code) => {
                bytes.push(code);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use provision_core::model::{Mode, Room};

    use super::*;

    const SWAPS: &[u8] = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
        /swapfile                               file\t\t16380\t\t12\t\t-2\n\
        /srv/my\\040swap\\134                      file\t\t2097148\t\t0\t\t10\n\
        /twice                                  file\t\t16380\t\t0\t\t-3\n\
        /twice                                  file\t\t16380\t\t4\t\t7\n\
        /dev/vdb2                               partition\t4194300\t\t0\t\t5\n";

    fn look(seen_as: &str) -> SwapLook {
        SwapLook {
            size: 1,
            owner: 0,
            mode: Mode::from_bits(0o600),
            header: None,
            active: true,
            seen_as: seen_as.into(),
            room: Room {
                free: 0,
                total: 0,
                unfit: None,
            },
        }
    }

    #[test]
    fn the_kernels_line_gives_use_and_priority() {
        let ours = |priority, used| Ok(ActiveSwap { priority, used });
        assert_eq!(active(&look("/swapfile"), SWAPS), ours(-2, 12 << 10));
        assert_eq!(active(&look("/srv/my swap\\"), SWAPS), ours(10, 0));
    }

    #[test]
    fn a_line_that_may_be_another_containers_is_no_answer() {
        assert!(active(&look("/twice"), SWAPS).unwrap_err().contains("several files"));
        assert!(active(&look("/elsewhere"), SWAPS).unwrap_err().contains("another name"));
        assert!(
            active(&look("/swapfile"), b"Filename\n/swapfile file 16380\n")
                .unwrap_err()
                .contains("another form")
        );
    }
}
