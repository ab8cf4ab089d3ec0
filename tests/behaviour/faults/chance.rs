//! Bad networks by chance: what [`Faults::random`] does to the first stream of a connection.

use std::{collections::HashSet, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use wsvisor::{
    ConnectionSpec, LifecycleEvent, SendString, StartConnection, TerminateConnection,
    testing::{Faults, Recorder, virtual_time},
};

use super::ground::{Ground, Neighbour, Over, Watchdog, cpu_time, echo};
use crate::support::{ms, quick};

/// Whatever the network does, within this time a message is heard again or the connection has given
/// up: a cut message has a minute, a lost one as long as a ping goes unanswered.
const PATIENCE: Duration = Duration::from_mins(3);

/// The faults of a random network begin within this time. Messages that come back later show that
/// it is over.
const FAULTS_BEGIN: Duration = Duration::from_secs(3);

#[test]
fn every_bad_network_is_survived() {
    let _watchdog = Watchdog::start();
    let mut gave_up = 0;
    for seed in 0..100 {
        let faults = Faults::random(seed);
        let before = cpu_time();
        let told = virtual_time(seed, survive(&faults));
        let again = virtual_time(seed, survive(&faults));
        let spent = cpu_time().saturating_sub(before);
        assert_eq!(told, again, "seed {seed} is one network: {faults}");
        assert!(spent < Duration::from_secs(5), "seed {seed} cost {spent:?} of CPU time: {faults}");
        gave_up += usize::from(told.iter().any(|line| line.contains("GaveUp")));
    }
    assert!((3..50).contains(&gave_up), "{gave_up} networks of 100 were too bad");
}

/// What a connection tells that talks through this network, line by line.
async fn survive(faults: &Faults) -> Vec<String> {
    let ground = Ground::new(Over::Memory);
    let neighbour = Neighbour::start(&ground).await;
    let server = ground.listen("victim").await;
    let relay = ground.listen("relay").await;
    // The network is well again for all streams that follow.
    let well = std::iter::repeat_with(Faults::new);
    let behind = server.url();
    let relay = relay.relay_to(&server, std::iter::once(faults.clone()).chain(well));
    let answering = actix_rt::spawn(echo(server));
    let mut events = Recorder::start();
    let spec = ConnectionSpec::string("victim", relay.url())
        .backoff(quick())
        .subscribe(events.lifecycle())
        .subscribe(events.messages());
    let victim = ground.supervisor.send(StartConnection(spec)).await.unwrap().unwrap();

    let (mut said, mut fates) = (HashSet::new(), JoinSet::new());
    let began = Instant::now();
    'talk: loop {
        let text = format!("{:->100}", said.len());
        fates.spawn_local(victim.send(SendString::new(text.clone())));
        said.insert(text);
        let pause = sleep(ms(100));
        tokio::pin!(pause);
        loop {
            let told = tokio::select! {
                () = &mut pause => break,
                told = events.next() => told,
            };
            match (told.lifecycle(), told.message()) {
                (Some(LifecycleEvent::GaveUp { .. }), _) => {
                    let harm = faults.to_string();
                    assert!(harm.contains("corrupt"), "given up for no wrong byte: {harm}: {told}");
                    break 'talk;
                }
                (_, Some(message)) => {
                    let text = message.as_text().unwrap();
                    assert!(said.contains(text), "heard and never said: {faults}: {told}");
                    if began.elapsed() > FAULTS_BEGIN {
                        break 'talk;
                    }
                }
                _ => {}
            }
        }
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "nothing is heard through {faults}: {:#?}", events.history());
    }
    neighbour.end_well().await;
    let terminate = TerminateConnection("victim".into());
    ground.supervisor.send(terminate).await.unwrap().unwrap();
    // Each message that was said has a fate, and each stream an end.
    let fates = tokio::time::timeout(PATIENCE, fates.join_all()).await;
    assert_eq!(fates.map(|fates| fates.len()), Ok(said.len()), "{faults}");
    let network = ground.network.unwrap();
    assert_eq!(network.live(relay.url()), 0, "a stream is left open: {faults}");
    // Behind a network that swallows bytes, the server learns late that the client is gone.
    let ended = async {
        while network.live(&behind) > 0 {
            sleep(ms(1_000)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert_eq!(ended, Ok(()), "the server waits for ever: {faults}");
    drop(relay);
    answering.abort();
    events.history().iter().map(ToString::to_string).collect()
}
