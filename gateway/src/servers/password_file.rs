//! libpq's password file: `HOST:PORT:DATABASE:USER:PASSWORD`, one a line, `*` for any.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The lines of a file, or none.
#[derive(Default)]
pub struct PasswordFile(Vec<[String; 5]>);

impl PasswordFile {
    /// Reads a file that is there. One that others can read is left alone, as libpq does, and the log says so.
    pub fn read(path: &Path) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::default() };
        if !metadata.is_file() {
            tracing::warn!(path = %path.display(), "the password file is no plain file, and is not used");
            return Self::default();
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "the password file can be read by others, and is not used: chmod 600");
            return Self::default();
        }
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the password file cannot be read");
                Self::default()
            }
        }
    }

    fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(fields).collect())
    }

    /// The password of the first line that fits.
    pub fn find(&self, host: &str, port: u16, database: &str, user: &str) -> Option<&str> {
        let port = port.to_string();
        let wanted = [host, port.as_str(), database, user];
        let fits = |line: &&[String; 5]| line.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
        self.0.iter().find(fits).map(|[.., password]| password.as_str())
    }
}

/// Of a line that has all five. A backslash stands before a `:` or a backslash that is no end of a field.
fn fields(line: &str) -> Option<[String; 5]> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let is_last = fields.len() == 5;
        let field = fields.last_mut()?;
        match c {
            '\\' => field.extend(chars.next()),
            ':' if !is_last => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = PasswordFile::parse(
            "# a note: db:5432:app:gateway:no\nshort:5432\ndb:5432:app:gateway:one\ndb:*:*:gateway:two\\:\\\\three\n\
             *:*:*:*:a:b\n",
        );
        for (host, port, database, user, password) in [
            ("db", 5432, "app", "gateway", "one"),
            ("db", 6432, "app", "gateway", "two:\\three"),
            ("db", 5432, "other", "gateway", "two:\\three"),
            ("db", 5432, "app", "other", "a:b"),
        ] {
            assert_eq!(file.find(host, port, database, user), Some(password), "{host} {port} {database} {user}");
        }
        let file = PasswordFile::parse("/run/a\\:b:5432:app:gateway:secret");
        assert_eq!(file.find("/run/a:b", 5432, "app", "gateway"), Some("secret"));
        assert_eq!(file.find("/run/a", 5432, "app", "gateway"), None);
    }
}
