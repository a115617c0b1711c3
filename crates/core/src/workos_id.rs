//! Ids that WorkOS gives: `org_…`, `conn_…`, `prof_…`, and its names of providers, such as `GoogleOAuth`.

/// The longest, in bytes.
pub const MAX_BYTES: usize = 255;

/// Refuses what WorkOS gives nothing by: ids are looked up, compared, and shown to operators, to whom two that look alike must be one.
///
/// # Errors
/// What is wrong with it: half a sentence whose subject is the id, and that shows nothing of it.
pub fn check(id: &str) -> Result<(), &'static str> {
    if id.is_empty() {
        Err("is empty")
    } else if id.len() > MAX_BYTES {
        Err("is longer than 255 bytes")
    } else if !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
        Err("has other characters than A-Z a-z 0-9 _ -")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_word() {
        let longest = "a".repeat(MAX_BYTES);
        for good in
            ["org_01EHZNVPK3SFK441A1RGBFSHRT", "conn_01e4", "prof_1", "org_acme", "GoogleOAuth", "org-1", "x", &longest]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let longer = format!("a{longest}");
        for bad in [
            "",
            " ",
            "\t",
            "org acme",
            " org_acme",
            "org_acme\n",
            "org_acme\0",
            "örg",
            "org.1",
            "org\u{200b}",
            "org|1",
            "org'1",
            &longer,
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
