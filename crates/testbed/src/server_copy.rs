//! A copy of the server, in which the extension's files can be others than those that are installed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::postgres::{Installation, pg_config};

/// The programs that clusters are made with. Each looks for the others, and for the server's files, from where it is itself.
const PROGRAMS: &[&str] = &["postgres", "initdb", "pg_basebackup", "pg_dump", "pg_restore", "psql"];

/// What the names of the extension's files begin with.
const OURS: &str = "workos_auth";

/// A server's programs and the extension's files, copied; all else is linked. It goes when it is dropped: after its clusters.
#[derive(Debug)]
pub struct ServerCopy {
    bin_dir: PathBuf,
    library_dir: PathBuf,
    extension_dir: PathBuf,
    _base: TempDir,
}

impl ServerCopy {
    /// Copies the server that `PG_CONFIG` names.
    ///
    /// # Errors
    /// It is not installed, or its directories have nothing in common, from which Postgres would find one from another.
    pub fn new() -> Result<Self> {
        let [bin, library, share] = ["--bindir", "--pkglibdir", "--sharedir"].map(directory);
        let (bin, library, share) = (bin?, library?, share?);
        let common = bin.ancestors().find(|ancestor| library.starts_with(ancestor) && share.starts_with(ancestor));
        let common = common.unwrap_or(Path::new("/")).to_owned();
        let base = tempfile::Builder::new()
            .prefix("workos-server-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .map_err(Error::io("make a directory"))?;
        let here = |path: &Path| base.path().join(path.strip_prefix(&common).unwrap_or(path));
        let (bin_dir, library_dir, share_dir) = (here(&bin), here(&library), here(&share));
        let extension_dir = share_dir.join("extension");
        for dir in [&bin_dir, &library_dir, &extension_dir] {
            fs::create_dir_all(dir).map_err(Error::io("make a directory"))?;
        }
        for program in PROGRAMS {
            copy(&bin.join(program), &bin_dir.join(program))?;
        }
        bring(&library, &library_dir)?;
        bring(&share.join("extension"), &extension_dir)?;
        bring(&share, &share_dir)?;
        Ok(Self { bin_dir, library_dir, extension_dir, _base: base })
    }

    /// The extension's library.
    pub fn library(&self) -> PathBuf {
        self.library_dir.join("workos_auth.so")
    }

    /// Puts another library in its place, as a package does: by a new file of the same name. Whoever has loaded the old one keeps it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace_library(&self, bytes: &[u8]) -> Result<()> {
        replace(&self.library(), bytes)
    }

    /// Writes a file beside the extension's control file, such as an update script.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put_script(&self, name: &str, text: &str) -> Result<()> {
        replace(&self.extension_dir.join(name), text.as_bytes())
    }

    /// One of the files beside the extension's control file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn script(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.extension_dir.join(name)).map_err(Error::io("read a script of the extension"))
    }

    pub(crate) fn installation(&self) -> Result<Installation> {
        Installation::copied_to(&self.bin_dir)
    }
}

fn directory(option: &str) -> Result<PathBuf> {
    let output = Command::new(pg_config()).arg(option).output().map_err(Error::io("run pg_config"))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    fs::canonicalize(path).map_err(Error::io("find a directory of the server"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(Error::io("copy a file of the server"))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, bytes).map_err(Error::io("write a file of the extension"))?;
    fs::set_permissions(&new, Permissions::from_mode(0o755)).map_err(Error::io("write a file of the extension"))?;
    fs::rename(&new, path).map_err(Error::io("write a file of the extension"))
}

/// Links everything in a directory, and copies what is the extension's. What is there already stays.
fn bring(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).map_err(Error::io("read a directory of the server"))? {
        let entry = entry.map_err(Error::io("read a directory of the server"))?;
        let target = to.join(entry.file_name());
        if target.exists() {
            continue;
        }
        if entry.file_name().to_string_lossy().starts_with(OURS) {
            copy(&entry.path(), &target)?;
        } else {
            symlink(entry.path(), &target).map_err(Error::io("link a file of the server"))?;
        }
    }
    Ok(())
}
