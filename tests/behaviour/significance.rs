//! Supervisors that end with their significant connections.

use std::time::Duration;

use wsvisor::{
    AutoShutdown, ConnectionSpec, CountConnections, RestartPolicy, RetryBudget, StartConnection,
    Supervisor, TerminateConnection,
    testing::{Recorder, backoff_scheduled, connected, disconnected, virtual_time},
};

use crate::support::{listen, loopback_policy, network, recorded, supervisor};

const URL: &str = "ws://127.0.0.1:9";

/// OTP's `auto_shutdown`.
#[test]
fn a_supervisor_may_end_with_its_significant_connections() {
    virtual_time(1, async {
        for (auto_shutdown, ends_with) in
            [(AutoShutdown::AnySignificant, 1), (AutoShutdown::AllSignificant, 2)]
        {
            let server = listen();
            let mut events = Recorder::start();
            let builder = Supervisor::builder().policy(loopback_policy()).dialler(network());
            let builder = builder.subscribe(events.lifecycle());
            let supervisor = builder.auto_shutdown(auto_shutdown).start().unwrap();
            let start = async |spec: ConnectionSpec| {
                supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
                server.open().await
            };
            let spec = |id: &str| ConnectionSpec::string(id, server.url());
            let mut helper = start(spec("helper")).await;
            let transient = spec("transient").restart(RestartPolicy::Transient).significant();
            let temporary = spec("temporary").restart(RestartPolicy::Temporary).significant();
            let mut peers = vec![start(transient).await, start(temporary).await];
            for ended in 1..=ends_with {
                let counts = supervisor.send(CountConnections).await.unwrap();
                assert!(counts.connected > 0, "{auto_shutdown:?} after {ended}");
                let mut peer = peers.remove(0);
                peer.close(1000).await;
                peer.read_close().await;
            }
            assert_eq!(helper.read_close().await, 1001_u16.to_be_bytes());
            helper.close(1001).await;
            drop((helper, peers));
            events.until(disconnected().of("helper")).await;
            events.until("1 Stopped…").await;
            events.expect_none(Duration::from_secs(10)).await;
            assert!(supervisor.send(CountConnections).await.is_err(), "{auto_shutdown:?}");
        }
    });
}

#[test]
fn what_is_terminated_or_comes_back_is_no_significant_end() {
    virtual_time(1, async {
        let server = listen();
        let builder = Supervisor::builder().policy(loopback_policy()).dialler(network());
        let supervisor = builder.auto_shutdown(AutoShutdown::AnySignificant).start().unwrap();
        let (spec, mut events) = recorded(ConnectionSpec::string("a", server.url()));
        let spec = spec.restart(RestartPolicy::Transient).significant();
        supervisor.send(StartConnection(spec)).await.unwrap().unwrap();
        server.open().await.reset();
        events.until(backoff_scheduled()).await;
        let peer = server.open().await;
        events.until(connected().epoch(2)).await;
        drop(peer);
        supervisor.send(TerminateConnection("a".into())).await.unwrap().unwrap();
        events.until("2 Stopped…").await;
        events.expect_none(Duration::from_mins(1)).await;
        assert_eq!(supervisor.send(CountConnections).await.unwrap().specs, 1);
    });
}

#[test]
fn significance_that_means_nothing_is_refused() {
    virtual_time(1, async {
        let supervisor = supervisor();
        let refusal = async |spec: ConnectionSpec| {
            supervisor.send(StartConnection(spec)).await.unwrap().unwrap_err().to_string()
        };
        let permanent = refusal(ConnectionSpec::string("a", URL).significant()).await;
        assert!(permanent.contains("significant: a permanent child"), "{permanent}");
        let spec = ConnectionSpec::string("a", URL).restart(RestartPolicy::Transient);
        let never = refusal(spec.significant()).await;
        assert!(never.contains("significant: its supervisor never ends"), "{never}");
        let spec = ConnectionSpec::string("a", URL).retry_budget(RetryBudget::attempts(0));
        let zero = refusal(spec).await;
        assert!(zero.contains("retry_budget.attempts is zero"), "{zero}");
    });
}
