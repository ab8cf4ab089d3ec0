use actix::Addr;
use wsvisor::{
    AccessPolicy, ConnectionSpec, StartConnection, Supervisor,
    testing::{Names, Network, Played, Recorder, Script},
};

use super::recorded;

/// Names, a network that is dialled by address, and a supervisor that dials into it.
pub(crate) struct World {
    pub(crate) names: Names,
    pub(crate) network: Network,
    pub(crate) supervisor: Addr<Supervisor>,
}

impl World {
    pub(crate) fn new<const N: usize>(rules: [&str; N], granted: &[&str]) -> Self {
        let (names, network) = (Names::new(), Network::new().by_address());
        let policy = AccessPolicy::from_rules(rules).unwrap();
        let supervisor = Supervisor::builder()
            .policy(policy.with_grant_resolved(granted).unwrap())
            .dialler(network.clone())
            .resolver(names.clone())
            .start()
            .unwrap();
        Self { names, network, supervisor }
    }

    /// A server at this address that plays the script for each connection.
    pub(crate) fn serve(&self, url: &str, scripts: impl IntoIterator<Item = Script>) -> Played {
        self.network.listen(url).play(scripts)
    }

    pub(crate) async fn start(&self, url: &str) -> Recorder {
        let (spec, recorder) = recorded(ConnectionSpec::string("a", url));
        self.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        recorder
    }
}
