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
    use super::{Operation::*, Refused, Standing};

    /// Each cell of OTP's table of operations and child states is a test of its own.
    macro_rules! cells {
        ($($operation:ident on $name:ident: $child:expr => $expected:expr;)+) => {$(
            #[test]
            fn $name() {
                assert_eq!($operation.on($child), $expected);
            }
        )+};
    }

    const ABSENT: Option<Standing> = None;
    const STOPPED: Option<Standing> = Some(Standing::Stopped);
    const RUNNING: Option<Standing> = Some(Standing::Running);
    const RESTARTING: Option<Standing> = Some(Standing::Restarting);

    cells! {
        Start on start_absent: ABSENT => Ok(());
        Start on start_stopped: STOPPED => Err(Refused::AlreadyPresent);
        Start on start_running: RUNNING => Err(Refused::AlreadyStarted);
        Start on start_restarting: RESTARTING => Err(Refused::AlreadyPresent);
        Restart on restart_absent: ABSENT => Err(Refused::NotFound);
        Restart on restart_stopped: STOPPED => Ok(());
        Restart on restart_running: RUNNING => Err(Refused::Running);
        Restart on restart_restarting: RESTARTING => Err(Refused::Restarting);
        Terminate on terminate_absent: ABSENT => Err(Refused::NotFound);
        Terminate on terminate_stopped: STOPPED => Ok(());
        Terminate on terminate_running: RUNNING => Ok(());
        Terminate on terminate_restarting: RESTARTING => Ok(());
        Delete on delete_absent: ABSENT => Err(Refused::NotFound);
        Delete on delete_stopped: STOPPED => Ok(());
        Delete on delete_running: RUNNING => Err(Refused::Running);
        Delete on delete_restarting: RESTARTING => Err(Refused::Restarting);
    }
}
