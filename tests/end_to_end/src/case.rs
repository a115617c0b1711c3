//! Which case of a loop a test was in when it failed.

use std::thread;

/// Says, when the test panics, what it was about. Made by [`case!`](crate::case!).
#[must_use = "it speaks when it is dropped"]
#[derive(Debug)]
pub struct Case(String);

impl Case {
    /// A case of this description.
    pub fn new(description: String) -> Self {
        Self(description)
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the case {}", self.0);
        }
    }
}

/// Names the case that a loop is in: the variables given, with their values. A failure in the rest of the block prints them.
#[macro_export]
macro_rules! case {
    ($($value:expr),+ $(,)?) => {
        let _case = $crate::case::Case::new([$(format!("{} = {:?}", stringify!($value), $value)),+].join(", "));
    };
}
