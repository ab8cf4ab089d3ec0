use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{AccessPolicy, PolicyError};

/// Why a file holds no [`AccessPolicy`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// It cannot be read, or is not text.
    #[error("cannot read the access policy in {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// It is longer than anyone writes.
    #[error("the access policy in {} is longer than {limit} bytes", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Bytes that are read at most.
        limit: u64,
    },
    /// A line of it is not a rule. Then there is no policy at all.
    #[error("{}: {source}", .path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// Which line, which rule, and what is wrong with it.
        source: PolicyError,
    },
}

/// Bytes of a file that are read at most.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

impl AccessPolicy {
    /// Reads a policy from a file with one rule a line, as [`from_text`](Self::from_text) reads a text.
    /// It blocks the thread while it reads.
    ///
    /// ```no_run
    /// use wsvisor::AccessPolicy;
    ///
    /// let policy = AccessPolicy::from_file("/etc/bots/access-policy")?;
    /// # Ok::<(), wsvisor::PolicyFileError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is not UTF-8 or longer than 4 MiB, or a line is not a rule: with the
    /// file, the line, the rule and the reason.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyFileError> {
        let path = path.as_ref();
        let unreadable =
            |source| PolicyFileError::Read { path: path.to_owned(), source: Arc::new(source) };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(PolicyFileError::TooLong { path: path.to_owned(), limit: MAX_BYTES });
        }
        // Some editors mark a text as Unicode.
        Self::from_text(text.strip_prefix('\u{feff}').unwrap_or(&text))
            .map_err(|source| PolicyFileError::Rule { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A file that is gone when the test is over.
    struct Temporary(PathBuf);

    impl Temporary {
        fn holding(name: &str, bytes: &[u8]) -> Self {
            let path =
                std::env::temp_dir().join(format!("wsvisor-policy-{name}-{}", std::process::id()));
            File::create(&path).unwrap().write_all(bytes).unwrap();
            Self(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_file_is_a_policy_or_an_error_with_its_place() {
        let text = "\u{feff}# bots\r\n\r\nallow wss://*.example.com   # all of them\r\n";
        let file = Temporary::holding("good", text.as_bytes());
        let policy = AccessPolicy::from_file(&file.0).unwrap();
        let rules: Vec<_> = policy.rules().map(ToString::to_string).collect();
        assert_eq!(rules, ["allow wss://*.example.com"]);

        let file = Temporary::holding("bad", b"allow a.example\n\nallow https://b.example\n");
        let error = AccessPolicy::from_file(&file.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{}: access policy, line 3, `allow https://b.example`: scheme: only wss and ws are WebSocket \
                 schemes; leave it out for wss",
                file.0.display()
            )
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_policy() {
        let missing = AccessPolicy::from_file("/nonexistent/policy").unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("cannot read the access policy in /nonexistent/policy: ")
        );
        let file = Temporary::holding("latin1", b"allow a.example # caf\xe9\n");
        assert!(matches!(AccessPolicy::from_file(&file.0), Err(PolicyFileError::Read { .. })));
        let mut longest = b"allow wss://a.example\n".to_vec();
        longest.resize(4 * 1024 * 1024, b'\n');
        let file = Temporary::holding("longest", &longest);
        assert_eq!(AccessPolicy::from_file(&file.0).unwrap().rules().len(), 1);
        let file = Temporary::holding("long", &vec![b'\n'; 4 * 1024 * 1024 + 1]);
        assert!(matches!(AccessPolicy::from_file(&file.0), Err(PolicyFileError::TooLong { .. })));
    }
}
