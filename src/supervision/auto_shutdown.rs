/// When a supervisor ends because its significant connections have (OTP: `auto_shutdown`): a unit of
/// work is done, and its helpers are not needed any more.
///
/// What counts is an end by itself: a transient connection's by a normal close, a temporary one's by
/// any, and of either a failure that is for good. A connection that was terminated does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// With the first significant connection.
    AnySignificant,
    /// With the last significant connection.
    AllSignificant,
}

impl AutoShutdown {
    /// Whether the supervisor ends, when a significant connection has and so many others are left.
    pub(crate) const fn is_due(self, significant_left: usize) -> bool {
        match self {
            Self::Never => false,
            Self::AnySignificant => true,
            Self::AllSignificant => significant_left == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_or_all() {
        use AutoShutdown::{AllSignificant, AnySignificant, Never};
        let table = [
            (Never, [false, false]),
            (AnySignificant, [true, true]),
            (AllSignificant, [true, false]),
        ];
        for (auto_shutdown, expected) in table {
            assert_eq!(
                [0, 1].map(|left| auto_shutdown.is_due(left)),
                expected,
                "{auto_shutdown:?}"
            );
        }
    }
}
