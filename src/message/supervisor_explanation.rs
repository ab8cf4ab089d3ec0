use std::{fmt, time::Duration};

use actix::Message;

use super::{Counts, SupervisorState, explanation::meaning};
use crate::{
    error::ChildError,
    lifecycle::{Budgets, ConnectionId, ExitClass, ExitReason},
};

/// Asks a supervisor why one below it is in its state.
///
/// ```no_run
/// # use actix::Addr;
/// # async fn at_night(top: Addr<wsvisor::Supervisor>) -> Result<(), Box<dyn std::error::Error>> {
/// use wsvisor::ExplainSupervisor;
///
/// println!("{}", top.send(ExplainSupervisor("feeds".into())).await??);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<SupervisorExplanation, ChildError>")]
pub struct ExplainSupervisor(pub ConnectionId);

/// Why a supervisor is in its state, and what happens next. Its text is for whoever looks into it at
/// night.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisorExplanation {
    /// Its id.
    pub id: ConnectionId,
    /// Where it is.
    pub state: SupervisorState,
    /// How often it was started again.
    pub restarts: u64,
    /// Its children.
    pub children: Counts,
    /// Why it ended the last time: what was too much for it, if it gave up.
    pub last_exit: Option<ExitReason>,
    /// What that end means for the next start.
    pub last_class: Option<ExitClass>,
    /// When it is started again.
    pub next_start_in: Option<Duration>,
    /// It waits for the others of its group, with which it starts again.
    pub waits_for_group: bool,
    /// What is left until it is left alone.
    pub budgets: Budgets,
}

impl fmt::Display for SupervisorExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, restarts, children, .. } = self;
        write!(f, "supervisor {id} is {state}, started again {restarts} times\n  {children}")?;
        if let Some(reason) = &self.last_exit {
            write!(f, "\n  last end: {reason}")?;
        }
        if let Some(class) = self.last_class {
            write!(f, "\n  which means: {}", meaning(class))?;
        }
        write!(f, "{}\n  next: ", self.budgets)?;
        match (state, self.next_start_in) {
            (SupervisorState::Restarting, _) if self.waits_for_group => f.write_str(
                "it starts with its group, once all of that has ended and the backoff is over",
            ),
            (SupervisorState::Restarting, Some(wait)) => write!(f, "it starts in {wait:.1?}"),
            (SupervisorState::Running, _) => f.write_str("it stays up"),
            (SupervisorState::Stopping, _) => {
                f.write_str("its children end, or their time is over")
            }
            _ => f.write_str("nothing, until it is restarted"),
        }
    }
}
