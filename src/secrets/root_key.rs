//! The root key: 32 bytes in a [secret file](super::secret_file), outside the data directory.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pgrx::prelude::*;
use workos_auth_core::seal::RootKey;
use workos_auth_core::{Error, ErrorCode, Result};
use zeroize::Zeroizing;

use super::secret_file::{self, Unusable};
use crate::settings;

const SIZE: usize = 32;

/// Reads the root key of `workos_auth.root_key_file`.
///
/// # Errors
/// `root_key_not_configured`, `root_key_unreadable`, `root_key_exposed`, `root_key_in_data_directory`, `root_key_malformed`.
pub fn load() -> Result<RootKey> {
    let path = settings::root_key_file().ok_or_else(|| Error::new(ErrorCode::RootKeyNotConfigured))?;
    let unreadable = |error: io::Error| Error::with_detail(ErrorCode::RootKeyUnreadable, about(&path, &error));
    let mut file = secret_file::open(&path).map_err(|why| match why {
        Unusable::Unreadable(error) => unreadable(error),
        Unusable::NotRegular => {
            let detail = format!("{} is not a regular file.", path.display());
            Error::with_detail(ErrorCode::RootKeyUnreadable, detail)
        }
        Unusable::Exposed { mode, owner } => {
            let detail = format!("{} has the mode {mode:04o} and belongs to user id {owner}.", path.display());
            Error::with_detail(ErrorCode::RootKeyExposed, detail)
        }
    })?;
    refuse_data_directory(&path, &path)?;
    // One byte more than a key, so that a longer file is noticed.
    let mut bytes = Zeroizing::new([0; SIZE + 1]);
    let read = read_up_to(&mut file, &mut *bytes).map_err(unreadable)?;
    RootKey::from_bytes(bytes.get(..read).unwrap_or_default())
}

/// Writes a fresh root key to a new file.
///
/// # Errors
/// `validation_failed`, `root_key_in_data_directory`, `root_key_exists`, `root_key_not_written`.
pub fn create(path: &Path) -> Result<()> {
    if !path.is_absolute() || path.file_name().is_none() {
        return Err(Error::invalid("path", "it must be the absolute path of a file."));
    }
    let parent = path.parent().unwrap_or(path);
    refuse_data_directory(path, parent)?;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::with_detail(ErrorCode::RootKeyExists, path.display().to_string()),
        _ => Error::with_detail(ErrorCode::RootKeyNotWritten, about(path, &error)),
    };
    let key = RootKey::generate()?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(failed)?;
    let written =
        file.write_all(key.expose()).and_then(|()| file.sync_all()).and_then(|()| File::open(parent)?.sync_all());
    written.map_err(|error| {
        // A file that holds half a key helps nobody; that it cannot be removed would add nothing to the error.
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}

/// `place` is the file itself, or where it is to be made.
fn refuse_data_directory(path: &Path, place: &Path) -> Result<()> {
    // SAFETY: set once at the server's start.
    let data_directory = unsafe { CStr::from_ptr(pg_sys::DataDir) };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let data_directory = real(&PathBuf::from(data_directory.to_string_lossy().into_owned()));
    if real(place).starts_with(&data_directory) && !settings::allow_root_key_in_data_directory() {
        let detail = format!("{} lies inside {}.", path.display(), data_directory.display());
        return Err(Error::with_detail(ErrorCode::RootKeyInDataDirectory, detail));
    }
    Ok(())
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn about(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}.", path.display())
}
