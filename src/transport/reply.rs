use tokio::sync::oneshot;

use crate::{
    error::{Delivery, SendError, Unconfirmed, Unwritten},
    lifecycle::{ExitReason, Fate, Loss},
};

/// Where a message's fate is told.
pub(crate) enum Reply {
    /// To its sender.
    Sender(oneshot::Sender<Result<Delivery, SendError>>),
    /// To whoever looks for its answer, with the reason why its session ended, where it has.
    Request(Box<Told>),
}

type Told = dyn FnOnce(Fate, Option<&ExitReason>);

/// Tells the fate of a message, whose session has ended with `exit` where it has.
pub(crate) fn tell(reply: Reply, fate: Fate, exit: Option<&ExitReason>) {
    match reply {
        Reply::Sender(sender) => {
            // The sender may have stopped waiting.
            let _ = sender.send(match fate {
                Fate::Written => Ok(Delivery::Written),
                Fate::Confirmed => Ok(Delivery::Confirmed),
                Fate::NotWritten(loss) => Err(SendError::NotWritten(unwritten(loss, exit))),
                Fate::Unknown(Loss::Deadline) => {
                    Err(SendError::WrittenUnknown(Unconfirmed::Expired))
                }
                Fate::Unknown(_) => {
                    Err(SendError::WrittenUnknown(Unconfirmed::SessionEnded(ended(exit))))
                }
            });
        }
        Reply::Request(tell) => tell(fate, exit),
    }
}

/// Why a message was not written.
pub(crate) fn unwritten(loss: Loss, exit: Option<&ExitReason>) -> Unwritten {
    match loss {
        Loss::Session => Unwritten::SessionEnded(ended(exit)),
        Loss::Connection => Unwritten::ConnectionEnded,
        Loss::Deadline => Unwritten::Expired,
        Loss::Newer => Unwritten::Replaced,
    }
}

/// Why a session ended. Its end is always told with the reason.
pub(crate) fn ended(exit: Option<&ExitReason>) -> ExitReason {
    exit.cloned().unwrap_or(ExitReason::Cancelled)
}
