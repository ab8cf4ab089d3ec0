use crate::lifecycle::State;

/// What an administrator may ask of a connection: the operations of OTP's `supervisor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Start,
    Restart,
    Terminate,
    Delete,
}

/// How a supervisor sees a connection: OTP's pid, `restarting`, and `undefined`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Running,
    Restarting,
    Stopped,
}

/// Why an operation is not carried out, in OTP's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    AlreadyStarted,
    AlreadyPresent,
    NotFound,
    Running,
    Restarting,
}

impl Standing {
    pub(crate) const fn of(state: State) -> Self {
        match state {
            State::Connecting | State::Connected | State::Closing => Self::Running,
            State::BackingOff => Self::Restarting,
            State::Idle | State::Disconnected | State::Failed => Self::Stopped,
        }
    }
}

impl Operation {
    /// Whether the operation may go on, for a connection of this standing, or for an id that is
    /// not known.
    pub(crate) const fn on(self, child: Option<Standing>) -> Result<(), Refused> {
        use Standing::{Restarting, Running, Stopped};
        match (self, child) {
            (Self::Start, None)
            | (Self::Restart | Self::Delete, Some(Stopped))
            | (Self::Terminate, Some(_)) => Ok(()),
            (Self::Start, Some(Running)) => Err(Refused::AlreadyStarted),
            (Self::Start, Some(Restarting | Stopped)) => Err(Refused::AlreadyPresent),
            (_, None) => Err(Refused::NotFound),
            (Self::Restart | Self::Delete, Some(Running)) => Err(Refused::Running),
            (Self::Restart | Self::Delete, Some(Restarting)) => Err(Refused::Restarting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cell of OTP's table of operations and child states.
    #[test]
    fn operation_by_state() {
        use Operation::{Delete, Restart, Start, Terminate};
        use Refused::{AlreadyPresent, AlreadyStarted, NotFound};
        let columns =
            [None, Some(Standing::Stopped), Some(Standing::Running), Some(Standing::Restarting)];
        #[rustfmt::skip]
        let table = [
            //           absent         stopped              running                restarting
            (Start,     [Ok(()),        Err(AlreadyPresent), Err(AlreadyStarted),   Err(AlreadyPresent)]),
            (Restart,   [Err(NotFound), Ok(()),              Err(Refused::Running), Err(Refused::Restarting)]),
            (Terminate, [Err(NotFound), Ok(()),              Ok(()),                Ok(())]),
            (Delete,    [Err(NotFound), Ok(()),              Err(Refused::Running), Err(Refused::Restarting)]),
        ];
        for (operation, row) in table {
            for (child, expected) in columns.into_iter().zip(row) {
                assert_eq!(operation.on(child), expected, "{operation:?} on {child:?}");
            }
        }
    }
}
