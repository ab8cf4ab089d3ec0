//! Where a supervisor is found, alone or below another one, and how it is shut down.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix::Addr;
use wsvisor::{
    CascadeOn, Intensity, OnExceeded, Shutdown, StartSupervisor, Strategy, Supervisor,
    SupervisorSpec, TerminateSupervisor, WhichSupervisors, testing::Bug,
};

use crate::{plan::Plan, start::policy};

/// One supervisor of a run.
#[derive(Clone)]
pub(crate) enum Seat {
    /// It stands alone, and has had so many bugs.
    Alone(Addr<Supervisor>, Rc<Cell<u32>>),
    /// It stands below another one, by this name.
    Below { top: Addr<Supervisor>, name: String },
}

impl Seat {
    /// The supervisors of a plan: each alone, or all below one.
    pub(crate) async fn start(plan: &Plan) -> Vec<Self> {
        let Plan { supervisors: strategies, tree, brittle, .. } = plan;
        let build = |(strategy, cascade_on): &(Strategy, CascadeOn)| {
            Supervisor::builder().policy(policy()).strategy(*strategy).cascade_on(*cascade_on)
        };
        if !*tree {
            return strategies
                .iter()
                .map(|it| Self::Alone(build(it).start().unwrap(), Rc::default()))
                .collect();
        }
        // Bugs are many here.
        let patient = Intensity::new(u32::MAX, Duration::from_secs(1));
        let top = Supervisor::builder().policy(policy()).intensity(patient).start().unwrap();
        let mut seats = Vec::new();
        for (number, strategy) in strategies.iter().enumerate() {
            let name = format!("u{number}");
            let mut builder = build(strategy);
            if *brittle {
                let none = Intensity::new(0, Duration::from_mins(1)).per_supervisor();
                builder = builder.intensity(none.on_exceeded(OnExceeded::ShutdownSupervisor));
            }
            let start = StartSupervisor(SupervisorSpec::new(name.as_str(), builder));
            top.send(start).await.expect("it lives").expect("the name is new");
            seats.push(Self::Below { top: top.clone(), name });
        }
        seats
    }

    /// Who sits there now.
    pub(crate) async fn occupant(&self) -> Addr<Supervisor> {
        match self {
            Self::Alone(supervisor, _) => supervisor.clone(),
            Self::Below { top, name } => {
                let below = top.send(WhichSupervisors).await.expect("the top lives");
                let found = below.into_iter().find(|info| info.id.as_str() == name);
                found.expect("it was started").address
            }
        }
    }

    /// A bug of its own code. One that stands alone bears five of them within a minute.
    pub(crate) async fn panic(&self) {
        if let Self::Alone(_, bugs) = self {
            if bugs.get() == 5 {
                return;
            }
            bugs.set(bugs.get() + 1);
        }
        let _ = self.occupant().await.send(Bug).await;
    }

    pub(crate) async fn shut_down(&self) -> bool {
        match self {
            Self::Alone(supervisor, _) => supervisor.send(Shutdown::gracefully()).await.is_ok(),
            Self::Below { top, name } => {
                let terminate = TerminateSupervisor(name.as_str().into());
                top.send(terminate).await.is_ok_and(|terminated| terminated.is_ok())
            }
        }
    }
}
