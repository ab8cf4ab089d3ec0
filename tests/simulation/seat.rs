//! Where a supervisor is found: it is started again after a bug, and has another address then.

use std::time::Duration;

use actix::Addr;
use wsvisor::{
    CascadeOn, Intensity, Shutdown, StartSupervisor, Strategy, Supervisor, WhichSupervisors,
    testing::Bug,
};

use crate::fleet::policy;

/// One supervisor of a run.
#[derive(Clone)]
pub(crate) enum Seat {
    /// It stands alone.
    Alone(Addr<Supervisor>),
    /// It stands below another one, by this name.
    Below { top: Addr<Supervisor>, name: String },
}

impl Seat {
    /// Supervisors with these strategies: each alone, or all below one.
    pub(crate) async fn start(strategies: &[(Strategy, CascadeOn)], tree: bool) -> Vec<Self> {
        let build = |(strategy, cascade_on): &(Strategy, CascadeOn)| {
            Supervisor::builder().policy(policy()).strategy(*strategy).cascade_on(*cascade_on)
        };
        if !tree {
            return strategies.iter().map(|it| Self::Alone(build(it).start())).collect();
        }
        // Bugs are many here.
        let patient = Intensity::new(u32::MAX, Duration::from_secs(1));
        let top = Supervisor::builder().policy(policy()).intensity(patient).start();
        let mut seats = Vec::new();
        for (number, strategy) in strategies.iter().enumerate() {
            let name = format!("u{number}");
            let start = StartSupervisor::new(name.as_str(), build(strategy));
            top.send(start).await.expect("it lives").expect("the name is new");
            seats.push(Self::Below { top: top.clone(), name });
        }
        seats
    }

    /// Who sits there now.
    pub(crate) async fn occupant(&self) -> Addr<Supervisor> {
        match self {
            Self::Alone(supervisor) => supervisor.clone(),
            Self::Below { top, name } => {
                let below = top.send(WhichSupervisors).await.expect("the top lives");
                let found = below.into_iter().find(|info| info.id.as_str() == name);
                found.expect("it was started").address
            }
        }
    }

    /// A bug of its own code, which only one below another survives.
    pub(crate) async fn panic(&self) {
        if let Self::Below { .. } = self {
            let _ = self.occupant().await.send(Bug).await;
        }
    }

    pub(crate) async fn shut_down(&self) -> bool {
        self.occupant().await.send(Shutdown::gracefully()).await.is_ok()
    }
}
