//! What Autobahn does not check: each frame of a client is masked (RFC 6455 §5.1), with a key that
//! nobody can predict (§5.3).

use std::collections::HashSet;

use tokio::io::AsyncReadExt as _;
use wsvisor::{
    AccessPolicy, Connect, Connection, Disconnect, Liveness, SendBinary, Settings,
    protocol::{FrameHeader, OpCode, apply_mask},
    testing::{Network, Recorder, connected, frame, virtual_time},
};

const MESSAGES: u32 = 10_000;

/// The keys of all frames of one session: messages, pongs and the close frame.
fn keys(seed: u64) -> Vec<[u8; 4]> {
    virtual_time(seed, async {
        let network = Network::new();
        let server = network.listen("ws://bots.example.com");
        let mut recorder = Recorder::start();
        let connection = Connection::string("a")
            .policy(AccessPolicy::from_rules(["allow ws://bots.example.com"]).unwrap())
            .settings(Settings::default().dialler(network).liveness(Liveness::off()))
            .subscribe(recorder.lifecycle())
            .start()
            .unwrap();
        connection.send(Connect::to(server.url())).await.unwrap().unwrap();
        let mut peer = server.open().await;
        recorder.expect(connected()).await;
        peer.write(frame(0x89, b"ping")).await;
        let mut stream = peer.into_stream();
        let sending = async {
            for number in 0..MESSAGES {
                let message = SendBinary::new(number.to_be_bytes().to_vec());
                connection.send(message).await.unwrap().unwrap();
            }
            connection.send(Disconnect::normally()).await.unwrap();
        };
        let reading = async {
            let (mut keys, mut numbers, mut bytes) = (Vec::new(), 0..MESSAGES, Vec::new());
            loop {
                while let Some((header, used)) = FrameHeader::parse(&bytes).unwrap() {
                    let end = used + usize::try_from(header.len).unwrap();
                    let Some(payload) = bytes.get(used..end) else { break };
                    let key = header.mask.expect("every frame is masked");
                    let mut payload = payload.to_vec();
                    bytes.drain(..end);
                    apply_mask(&mut payload, key);
                    keys.push(key);
                    match header.opcode {
                        OpCode::Binary => {
                            assert_eq!(payload, numbers.next().unwrap().to_be_bytes());
                        }
                        OpCode::Pong => assert_eq!(payload, b"ping"),
                        OpCode::Close => return keys,
                        other => panic!("{other}"),
                    }
                }
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the client hung up");
            }
        };
        tokio::join!(sending, reading).1
    })
}

#[test]
fn every_frame_is_masked_with_a_key_of_its_own() {
    let [first, second] = [1, 2].map(keys);
    assert_eq!(first.len(), MESSAGES as usize + 2, "messages, a pong and a close frame");
    assert_eq!(first.len(), second.len());
    let distinct: HashSet<_> = first.iter().collect();
    assert_eq!(distinct.len(), first.len(), "a key came twice");
    // A key does not follow from a frame's place, nor from the key before it.
    assert!(first.iter().zip(&second).all(|(one, other)| one != other));
    let differences = |keys: &[[u8; 4]]| {
        let numbers = keys.iter().map(|key| u32::from_be_bytes(*key));
        let next = numbers.clone().skip(1);
        numbers.zip(next).map(|(one, next)| next.wrapping_sub(one)).collect::<HashSet<_>>().len()
    };
    assert!(differences(&first) + 10 > first.len(), "the keys count");
    // Each bit is set in about half of the keys: five standard deviations off is a fault.
    for bit in 0..32 {
        let set = first.iter().filter(|key| u32::from_be_bytes(**key) >> bit & 1 == 1).count();
        assert!((4_750..=5_252).contains(&set), "bit {bit} is set in {set} keys");
    }
}
