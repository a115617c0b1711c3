//! A file that holds a secret, under Postgres's own rule for `ssl_key_file` (`check_ssl_key_file_permissions`, be-secure-common.c).

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

/// Why a file is not read.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be opened or read.
    Unreadable(io::Error),
    /// It is a directory, a FIFO or a device.
    NotRegular,
    /// Others than the server and root can use it.
    Exposed { mode: u32, owner: u32 },
}

impl Unusable {
    /// The same as a sentence.
    pub fn about(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Unusable::Unreadable(error) => format!("{path}: {error}."),
            Unusable::NotRegular => format!("{path} is not a regular file."),
            Unusable::Exposed { mode, owner } => {
                format!("{path} has the mode {mode:04o} and belongs to user id {owner}.")
            }
        }
    }
}

/// Opens a regular file that belongs to the server's operating-system user and that nobody else can use, or that belongs to root and that
/// its group may read at most. The latter is how Kubernetes mounts a secret.
///
/// # Errors
/// Why it may not be read.
pub fn open(path: &Path) -> Result<File, Unusable> {
    // Not blocking, so that a FIFO in its place cannot hang the backend.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(Unusable::Unreadable)?;
    let metadata = file.metadata().map_err(Unusable::Unreadable)?;
    if !metadata.is_file() {
        return Err(Unusable::NotRegular);
    }
    let (mode, owner) = (metadata.mode() & 0o7777, metadata.uid());
    // SAFETY: cannot fail.
    let server = unsafe { libc::geteuid() };
    let is_private = owner == server && mode & 0o077 == 0 || owner == 0 && mode & 0o037 == 0;
    if is_private { Ok(file) } else { Err(Unusable::Exposed { mode, owner }) }
}

/// Reads an open file; of one that is longer than `most` bytes, one byte more than that.
///
/// # Errors
/// It cannot be read.
pub fn read(mut file: File, most: usize) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    // Room for all of it, lest the buffer move and leave a copy behind.
    let mut bytes = Zeroizing::new(vec![0; most.saturating_add(1)]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Unusable::Unreadable(error)),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
