use serde_json::{Value, json};

use crate::{
    contenders::Contender,
    report::Table,
    rounds::{Taken, median_of},
    usage::Cost,
};

/// The processor time that a message costs each client.
pub(crate) struct Costs {
    taken: Vec<Taken<Contender, Cost>>,
    best_peer: f64,
}

impl Costs {
    pub(crate) fn of(taken: Vec<Taken<Contender, Cost>>) -> Self {
        let cpu = |peer| median_of(&taken, peer, |cost: &Cost| cost.cpu());
        let best_peer = Contender::PEERS.into_iter().map(cpu).fold(f64::NAN, f64::min);
        Self { taken, best_peer }
    }

    /// The median of one client, in nanoseconds.
    pub(crate) fn cpu(&self, who: Contender) -> f64 {
        median_of(&self.taken, who, |cost| cost.cpu())
    }

    /// The same as a multiple of the best peer's.
    pub(crate) fn of_best_peer(&self, who: Contender) -> f64 {
        self.cpu(who) / self.best_peer
    }

    pub(crate) fn table(&self, title: String) -> Table {
        let mut table = Table::new(
            title,
            &["client", "median", "least", "most", "user", "system", "clock", "x best peer"],
        );
        for row in &self.taken {
            let cpu = row.spread(|cost| cost.cpu());
            let (user, system) = (row.median(|cost| cost.user), row.median(|cost| cost.system));
            let elapsed = row.median(|cost| cost.elapsed);
            table.figures(
                row.who.name(),
                &[cpu.median, cpu.least, cpu.most, user, system, elapsed],
                cpu.median / self.best_peer,
            );
        }
        table
    }

    /// A JSON line for each client; `about` says what was measured.
    pub(crate) fn lines(&self, about: &Value) -> Vec<Value> {
        let line = |row: &Taken<Contender, Cost>| {
            let cpu = row.spread(|cost| cost.cpu());
            let mut line = about.clone();
            line["client"] = json!(row.who.name());
            line["cpu_ns"] = json!({"median": cpu.median, "least": cpu.least, "most": cpu.most});
            line["of_best_peer"] = json!(cpu.median / self.best_peer);
            line["rounds"] = json!(row.samples);
            line
        };
        self.taken.iter().map(line).collect()
    }
}
