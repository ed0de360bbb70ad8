//! Reading small files that a person wrote, with a bound on size and without waiting.
//! It does not write, and it reads nothing that is not a regular file: a FIFO would wait for ever.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::Path,
};

/// Reads a regular file of at most `limit` bytes. `None` if it is absent; `/dev/null` is empty.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    if path == Path::new("/dev/null") {
        return Ok(Some(Vec::new()));
    }
    let absent = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
    let length = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len().min(limit),
        Ok(_) => return Err(io::Error::new(ErrorKind::InvalidInput, "not a regular file")),
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    // At its final size from the start: growing would leave copies of private keys behind.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 64);
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let problem = format!("larger than {limit} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(Some(bytes))
}
