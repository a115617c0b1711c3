//! The root key: 32 bytes in a [secret file](super::secret_file), outside the data directory, or behind a [program](super::root_key_command).
//!
//! The settings may name several: while the key is changed, both must be tried. The files come first, in their order, and then the program.

use std::cell::RefCell;
use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use workos_auth_core::seal::RootKey;
use workos_auth_core::{Error, ErrorCode, Result};

use super::root_key_command;
use super::secret_file::{self, Unusable};
use crate::settings;
use crate::store::configuration;

const SIZE: usize = 32;

/// Where a root key comes from.
enum Source {
    File(PathBuf),
    Command(String),
}

impl Source {
    fn open<T>(&self, retry: Retry, open: impl Fn(&RootKey) -> Result<T>) -> Result<Found<T>> {
        let found = |key, is_from_program| open(&key).map(|value| Found { key, value, is_from_program });
        match self {
            Source::File(path) => found(load_file(path)?, false),
            Source::Command(command) => {
                if retry == Retry::NotAtOnce
                    && let Some(error) = lately_failed(command)
                {
                    return Err(error);
                }
                let run = || found(root_key_command::run(command, settings::root_key_command_timeout())?, true);
                run().inspect_err(|error| FAILED.set(Some((command.clone(), Instant::now(), error.clone()))))
            }
        }
    }
}

/// Whether a program that has just failed is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// For administrators, who may have mended it.
    AtOnce,
    /// For what anybody may call: not for a few seconds. The error is the same.
    NotAtOnce,
}

/// How long a program that failed is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);

thread_local! {
    /// The command that failed last, when, and how.
    static FAILED: RefCell<Option<(String, Instant, Error)>> = const { RefCell::new(None) };
}

fn lately_failed(command: &str) -> Option<Error> {
    FAILED.with_borrow(|failed| match failed {
        Some((failed, at, error)) if failed == command && at.elapsed() < LEFT_ALONE => Some(error.clone()),
        _ => None,
    })
}

/// A root key that opened something.
pub struct Found<T> {
    /// It.
    pub key: RootKey,
    /// What it opened.
    pub value: T,
    /// Whether the program printed it.
    pub is_from_program: bool,
}

/// What the settings name, in the order in which it is tried.
fn sources() -> Result<Vec<Source>> {
    let files = settings::root_key_files().ok_or_else(|| {
        let detail = "workos_auth.root_key_file is no list of file names that are separated by commas.";
        Error::with_detail(ErrorCode::RootKeyUnreadable, detail)
    })?;
    let command = settings::root_key_command().map(Source::Command);
    Ok(files.into_iter().map(Source::File).chain(command).collect())
}

/// Whether the settings name a root key at all.
pub fn is_configured() -> bool {
    !sources().is_ok_and(|sources| sources.is_empty())
}

/// The first root key of the settings that opens something, and what it opened. One that cannot be had is passed over where a later one opens.
///
/// # Errors
/// `root_key_not_configured`, `root_key_required`; where none opens, what is wrong with the first that cannot be had: `root_key_not_found`,
/// `root_key_unreadable`, `root_key_exposed`, `root_key_in_data_directory`, `root_key_malformed`, `root_key_command_…`; where all can be had,
/// what `open` says of the first.
pub fn find<T>(retry: Retry, open: impl Fn(&RootKey) -> Result<T>) -> Result<Found<T>> {
    let mut refused: Option<Error> = None;
    for source in sources()? {
        match (source.open(retry, &open), refused.take()) {
            (Ok(found), _) => return Ok(found),
            (Err(error), None) => refused = Some(error),
            (Err(error), Some(before)) => refused = Some(both(before, error)),
        }
    }
    Err(refused.unwrap_or_else(|| match configuration::any_data_key().is_some() {
        true => ErrorCode::RootKeyRequired.into(),
        false => ErrorCode::RootKeyNotConfigured.into(),
    }))
}

/// The key may be the one that cannot be had: so that is the error, rather than that another opens nothing. The detail tells of both.
fn both(first: Error, second: Error) -> Error {
    let detail = [first.detail(), second.detail()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let is_mismatch = |error: &Error| error.code() == ErrorCode::RootKeyMismatch;
    let code = if is_mismatch(&first) && !is_mismatch(&second) { second.code() } else { first.code() };
    Error::with_detail(code, detail)
}

/// Reads the root key of a file.
///
/// # Errors
/// `root_key_not_found`, `root_key_unreadable`, `root_key_exposed`, `root_key_in_data_directory`, `root_key_malformed`.
pub fn load_file(path: &Path) -> Result<RootKey> {
    let unusable = |why: Unusable| {
        let code = match &why {
            Unusable::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => ErrorCode::RootKeyNotFound,
            Unusable::Unreadable(_) | Unusable::NotRegular => ErrorCode::RootKeyUnreadable,
            Unusable::Exposed { .. } => ErrorCode::RootKeyExposed,
        };
        Error::with_detail(code, why.about(path))
    };
    let file = secret_file::open(path).map_err(unusable)?;
    refuse_data_directory(path, path)?;
    let bytes = secret_file::read(file, SIZE).map_err(unusable)?;
    RootKey::from_bytes(&bytes).map_err(|error| {
        let detail = format!("{}: {}", path.display(), error.detail().unwrap_or_default());
        Error::with_detail(error.code(), detail)
    })
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
        _ => Error::with_detail(ErrorCode::RootKeyNotWritten, Unusable::Unreadable(error).about(path)),
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
