use super::ExitClass;

/// When a supervised connection is started again after its session ended: OTP's restart types.
///
/// A fatal exit ([`ExitClass::Fatal`]) stops a connection under every restart type, because the
/// same attempt would fail again. That is a deliberate departure from OTP, where a permanent
/// child is always restarted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RestartPolicy {
    /// Restarted after every exit that is not fatal and was not asked for.
    #[default]
    Permanent,
    /// Restarted after an abnormal exit only: a peer's close with 1000 ends it.
    Transient,
    /// Never restarted, and forgotten by its supervisor when it ends.
    Temporary,
}

impl RestartPolicy {
    /// Whether an exit of this class is followed by another attempt.
    #[must_use]
    pub const fn restarts_after(self, class: &ExitClass) -> bool {
        match (self, class) {
            (_, ExitClass::Shutdown | ExitClass::Fatal)
            | (Self::Temporary, _)
            | (Self::Transient, ExitClass::Normal) => false,
            (Self::Permanent | Self::Transient, _) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_restart_types() {
        let retry = ExitClass::Retry { floor: None };
        let slow = ExitClass::RetrySlow { floor: None };
        #[rustfmt::skip]
        let table = [
            // class                  permanent transient temporary
            (ExitClass::Normal,       [true,     false,    false]),
            (retry,                   [true,     true,     false]),
            (slow,                    [true,     true,     false]),
            (ExitClass::Crash,        [true,     true,     false]),
            (ExitClass::Fatal,        [false,    false,    false]),
            (ExitClass::Shutdown,     [false,    false,    false]),
        ];
        let policies =
            [RestartPolicy::Permanent, RestartPolicy::Transient, RestartPolicy::Temporary];
        for (class, expected) in table {
            for (policy, restarts) in policies.iter().zip(expected) {
                assert_eq!(policy.restarts_after(&class), restarts, "{policy:?} after {class:?}");
            }
        }
    }
}
