//! OTP's table of operations by states, for supervisors: what start, restart, terminate and delete are
//! answered, in this order, each on a supervisor that is in the same state.

use wsvisor::Reconnect;

use super::*;
use crate::support::ms;

type Answers = [Result<(), &'static str>; 4];

/// Brings a supervisor "a" below `top` into the state.
type Arrange = for<'a> fn(&'a Addr<Supervisor>, &'a Arc<AtomicUsize>) -> Arranged<'a>;
type Arranged<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

fn answers_to(arrange: Arrange, expected: Answers) {
    for (operation, expected) in expected.into_iter().enumerate() {
        virtual_time(1, async move {
            let crashes = Arc::new(AtomicUsize::new(0));
            let dialler = Crashes(network(), Arc::clone(&crashes));
            let (top, _events) = top(Supervisor::builder().dialler(dialler));
            arrange(&top, &crashes).await;
            let answer = match operation {
                0 => {
                    let spec = SupervisorSpec::new("a", Supervisor::builder());
                    let answer = top.send(StartSupervisor(spec)).await.unwrap();
                    answer.map(drop).map_err(|error| error.to_string())
                }
                1 => told(top.send(RestartSupervisor("a".into())).await.unwrap()),
                2 => told(top.send(TerminateSupervisor("a".into())).await.unwrap()),
                _ => told(top.send(DeleteSupervisor("a".into())).await.unwrap()),
            };
            let expected = expected.map_err(String::from);
            let name = ["start", "restart", "terminate", "delete"][operation];
            assert_eq!(answer, expected, "{name}");
        });
    }
}

fn told(answer: Result<(), ChildError>) -> Result<(), String> {
    answer.map_err(|error| error.to_string())
}

async fn state(top: &Addr<Supervisor>) -> SupervisorState {
    top.send(WhichSupervisors).await.unwrap()[0].state
}

#[test]
fn on_an_absent_supervisor() {
    answers_to(
        |_, _| Box::pin(async {}),
        [Ok(()), Err("a is not known"), Err("a is not known"), Err("a is not known")],
    );
}

#[test]
fn on_a_stopped_supervisor() {
    answers_to(
        |top, _| {
            Box::pin(async {
                branch(top, "a", Supervisor::builder()).await;
                top.send(TerminateSupervisor("a".into())).await.unwrap().unwrap();
                assert_eq!(state(top).await, SupervisorState::Stopped);
            })
        },
        [Err("a is already present; restart it, or delete it first"), Ok(()), Ok(()), Ok(())],
    );
}

#[test]
fn on_a_running_supervisor() {
    answers_to(
        |top, _| {
            Box::pin(async {
                branch(top, "a", Supervisor::builder()).await;
                assert_eq!(state(top).await, SupervisorState::Running);
            })
        },
        [
            Err("a is already started"),
            Err("a is running; terminate it first"),
            Ok(()),
            Err("a is running; terminate it first"),
        ],
    );
}

#[test]
fn on_a_restarting_supervisor() {
    answers_to(
        |top, crashes| {
            Box::pin(async {
                crashes.store(1, Ordering::Relaxed);
                let hour = Duration::from_hours(1);
                let spec = SupervisorSpec::new("a", brittle())
                    .backoff(Backoff::between(hour, hour).unwrap())
                    .child(ConnectionSpec::string("c", listen().url()));
                top.send(StartSupervisor(spec)).await.unwrap().unwrap();
                while state(top).await != SupervisorState::Restarting {
                    tokio::task::yield_now().await;
                }
            })
        },
        [
            Err("a is already present; restart it, or delete it first"),
            Err("a is restarting; terminate it first"),
            Ok(()),
            Err("a is restarting; terminate it first"),
        ],
    );
}

/// To terminate one that waits to be started again is to cancel that.
#[test]
fn terminate_cancels_the_restart() {
    virtual_time(1, async {
        let crashes = Arc::new(AtomicUsize::new(1));
        let dialler = Crashes(network(), crashes);
        let (top, _events) = top(Supervisor::builder().dialler(dialler));
        let spec = SupervisorSpec::new("a", brittle())
            .backoff(quick())
            .child(ConnectionSpec::string("c", listen().url()));
        top.send(StartSupervisor(spec)).await.unwrap().unwrap();
        while state(&top).await != SupervisorState::Restarting {
            tokio::task::yield_now().await;
        }
        top.send(TerminateSupervisor("a".into())).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_hours(1)).await;
        assert_eq!(state(&top).await, SupervisorState::Stopped);
    });
}

/// A connection may be told to connect while its supervisor waits to be started again.
#[test]
fn terminate_waits_for_what_was_connected_while_the_supervisor_waited() {
    virtual_time(2, async {
        let (crashes, server) = (Arc::new(AtomicUsize::new(1)), listen());
        let (top, _events) = top(Supervisor::builder().dialler(Crashes(network(), crashes)));
        let hour = Duration::from_hours(1);
        let spec =
            SupervisorSpec::new("a", brittle()).backoff(Backoff::between(hour, hour).unwrap());
        let below = top.send(StartSupervisor(spec)).await.unwrap().unwrap();
        let spec = ConnectionSpec::string("c", server.url());
        let connection = below.send(StartConnection(spec)).await.unwrap().unwrap();
        while state(&top).await != SupervisorState::Restarting {
            tokio::task::yield_now().await;
        }
        connection.send(Reconnect).await.unwrap().unwrap();
        let mut peer = server.open().await;
        while connection.send(GetStatus).await.unwrap().state != State::Connected {
            tokio::task::yield_now().await;
        }

        let mut terminated = std::pin::pin!(top.send(TerminateSupervisor("a".into())));
        tokio::select! {
            biased;
            _ = terminated.as_mut() => panic!("the connection is still closing"),
            close = peer.read_close() => assert_eq!(close, 1001_u16.to_be_bytes()),
        }
        let is_told = tokio::time::timeout(ms(500), terminated.as_mut()).await.is_ok();
        assert!(!is_told, "the connection is still closing");
        peer.close(1001).await;
        drop(peer);
        terminated.await.unwrap().unwrap();
        assert_eq!(network().live(&server.url()), 0);
        assert_eq!(state(&top).await, SupervisorState::Stopped);
    });
}
