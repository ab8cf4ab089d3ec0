//! Any answer to an upgrade request: it is judged without a panic, and accepted only if each header
//! that RFC 6455 §4.1 asks for is there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsvisor::protocol::{
    HandshakeError, Key, Offer, PerMessageDeflate, ResponseHead, RetryAfter, WindowBits,
};

fuzz_target!(|data: &[u8]| {
    let Some((&[choices, status], lines)) = data.split_first_chunk() else { return };
    let headers: Vec<(&str, &[u8])> = lines
        .split(|&byte| byte == b'\n')
        .filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let (name, value) = line.split_at(colon);
            Some((std::str::from_utf8(name).ok()?, value.get(1..)?))
        })
        .collect();
    let key = Key::from_random(*b"the sample nonce");
    let subprotocols = ["v2.chat".to_owned(), "v1.chat".to_owned()];
    let deflate = PerMessageDeflate::default().server_max_window_bits(WindowBits::MIN);
    let offer = Offer {
        key: &key,
        subprotocols: &subprotocols,
        subprotocol_required: choices & 1 > 0,
        deflate: (choices & 2 > 0).then_some(&deflate),
    };
    // 101 is what mutations seldom hit.
    let status = if choices & 4 > 0 { 101 } else { u16::from(status) * 4 };
    let head = ResponseHead { http_11: choices & 8 == 0, status, headers: &headers };
    let values = |name: &str| -> Vec<&[u8]> {
        let named = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_ascii()).collect()
    };
    match offer.check(&head) {
        Ok(accepted) => {
            assert!(status == 101 && choices & 8 == 0);
            assert_eq!(values("sec-websocket-accept"), [key.accept().as_bytes()]);
            for (name, token) in [("upgrade", "websocket"), ("connection", "upgrade")] {
                let said = values(name).concat().to_ascii_lowercase();
                assert!(String::from_utf8_lossy(&said).contains(token));
            }
            for name in ["content-length", "transfer-encoding"] {
                assert!(values(name).is_empty());
            }
            let picked = values("sec-websocket-protocol");
            assert_eq!(
                accepted.subprotocol.as_ref().map(|name| name.as_bytes()),
                picked.first().copied()
            );
            let was_offered = |name: &str| subprotocols.iter().any(|offered| offered == name);
            assert!(accepted.subprotocol.is_none_or(|name| was_offered(&name)));
            if let Some(agreed) = accepted.deflate {
                assert!(choices & 2 > 0 && (8..=9).contains(&agreed.server_window_bits));
                assert!((8..=15).contains(&agreed.client_window_bits));
            }
        }
        Err(error) => {
            // What a server said is shown escaped and cut.
            let text = error.to_string();
            assert!(text.len() < 1_000 && !text.contains(char::is_control), "{text:?}");
            if let HandshakeError::Status { retry_after: Some(RetryAfter::At(_)), .. } = error {
                assert!(!values("retry-after").is_empty());
            }
        }
    }
});
