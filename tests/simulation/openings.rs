//! What a stormy server does first with a connection.

use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use wsvisor::testing::{Script, frame};

/// What follows an opening.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// The stream is closed.
    Leave,
    /// Nothing, for ever.
    Vanish,
    Serve,
}

/// What a stormy server does first with a connection.
pub(crate) fn opening(chance: &mut ChaCha8Rng) -> (Script, Then) {
    let script = Script::new();
    let script = match chance.random_range(0..34) {
        0 | 1 => script.refuse("503 Busy", "Retry-After: 3\r\n"),
        2 => script.refuse("429 Too Many", ""),
        3 => script.refuse("502 Bad Gateway", "Content-Length: 3\r\n\r\nno!"),
        4 => script.refuse("503 Busy", "Retry-After: Wed, 01 Jan 2025 00:01:00 GMT\r\n"),
        5 => return (script.keep_silent(), Then::Vanish),
        6 => return (script.accept_slowly(Duration::from_millis(100)), Then::Serve),
        7 => script.reset(),
        8 => script.accept().reset(),
        9 => return (script.accept(), Then::Vanish),
        10 => script.answer_without_end(),
        11 => return (script.accept().half_close(), Then::Vanish),
        12 if chance.random_ratio(1, 4) => fatal(chance),
        13 => script.accept().close(1012),
        14 => script.accept().close(1013),
        15 => script.accept().close(1000),
        16 => return (script.accept().close_frame(1001), Then::Vanish),
        _ => return (script.accept(), Then::Serve),
    };
    (script, Then::Leave)
}

/// What ends a connection for good.
fn fatal(chance: &mut ChaCha8Rng) -> Script {
    let script = Script::new();
    match chance.random_range(0..12) {
        0 => script.refuse("403 Forbidden", ""),
        1 => script.accept_another_key(),
        2 => script.accept_no_key(),
        3 => script.accept_with("Sec-WebSocket-Protocol: never-offered\r\n"),
        4 => script.answer_with("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        5 => script.accept().send(frame(0xF1, b"reserved bits")),
        6 => script.accept().send(frame(0x81, [0xFF])),
        7 => script.accept().send([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]),
        8 => script.accept().close(1008),
        9 => script.accept().close(1002),
        10 => script.accept().send([0x00, 0x00]),
        _ => script.accept().send(frame(0x88, [0x03])),
    }
}
