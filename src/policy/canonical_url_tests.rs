//! Canonical forms and refusals, as tables.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{CanonicalUrl, Host, InvalidUrl, Scheme};

#[track_caller]
fn url(input: &str) -> CanonicalUrl {
    CanonicalUrl::parse(input).unwrap_or_else(|error| panic!("{input}: {error}"))
}

#[test]
fn canonical_forms() {
    for (input, canonical) in [
        ("wss://example.com", "wss://example.com/"),
        ("WsS://EXAMPLE.com/Path?Query", "wss://example.com/Path?Query"),
        ("wss://example.com.", "wss://example.com/"),
        ("wss://example.com:443/", "wss://example.com/"),
        ("ws://example.com:80/", "ws://example.com/"),
        ("ws://example.com:443/", "ws://example.com:443/"),
        ("wss://example.com:0080", "wss://example.com:80/"),
        ("wss://example.com:/", "wss://example.com/"),
        ("wss://example.com./a", "wss://example.com/a"),
        ("wss://example.com.:8443/a", "wss://example.com:8443/a"),
        ("wss://bücher.example", "wss://xn--bcher-kva.example/"),
        ("wss://BÜCHER.example", "wss://xn--bcher-kva.example/"),
        ("wss://xn--bcher-kva.example", "wss://xn--bcher-kva.example/"),
        ("wss://example。com", "wss://example.com/"),
        ("wss://ｅｘａｍｐｌｅ.com", "wss://example.com/"),
        ("wss://ex%61mple.com", "wss://example.com/"),
        ("wss://my_host-1.example", "wss://my_host-1.example/"),
        ("wss://h/a/./b/../c", "wss://h/a/c"),
        ("wss://h/a/%2e%2E/b", "wss://h/b"),
        ("wss://h/../../x", "wss://h/x"),
        ("wss://h//a//", "wss://h//a//"),
        ("wss://h/a b?c d", "wss://h/a%20b?c%20d"),
        ("wss://h/a@b", "wss://h/a@b"),
        ("wss://h?", "wss://h/?"),
        ("wss://h?q", "wss://h/?q"),
        ("wss://[2001:DB8:0::1]:8443/", "wss://[2001:db8::1]:8443/"),
        ("wss://[::ffff:1.2.3.4]", "wss://[::ffff:102:304]/"),
    ] {
        assert_eq!(url(input).as_str(), canonical, "{input}");
        assert_eq!(url(canonical), url(input), "{input}");
    }
}

#[test]
fn every_spelling_of_loopback_is_loopback() {
    let spellings = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0177.0.0.1",
        "0177.1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "0x7f.0x0.0x0.0x1",
    ];
    for host in spellings {
        assert_eq!(url(&format!("ws://{host}")).host(), Host::V4(Ipv4Addr::LOCALHOST), "{host}");
    }
    for host in ["0", "0x", "0.0.0.0"] {
        assert_eq!(url(&format!("ws://{host}")).host(), Host::V4(Ipv4Addr::UNSPECIFIED), "{host}");
    }
    assert_eq!(url("ws://[::ffff:7f00:1]").host(), Host::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()));
    assert_eq!(url("ws://[0:0:0:0:0:0:0:1]").host(), Host::V6(Ipv6Addr::LOCALHOST));
}

#[test]
fn what_is_refused() {
    use InvalidUrl as E;
    let long_label = format!("wss://{}.example", "a".repeat(64));
    let long_name = format!("wss://{}", vec!["a".repeat(63); 4].join("."));
    let longest_name = format!("wss://{}.{}.", vec!["a".repeat(63); 3].join("."), "a".repeat(61));
    assert!(CanonicalUrl::parse(&longest_name).is_ok());
    for (input, error) in [
        ("", E::SchemeMissing),
        ("example.com", E::SchemeMissing),
        ("//example.com", E::SchemeMissing),
        ("/path", E::SchemeMissing),
        ("http://example.com", E::Scheme),
        ("https://example.com", E::Scheme),
        ("file:///etc/passwd", E::Scheme),
        ("user:pass@example.com", E::Scheme),
        ("localhost:8080", E::Scheme),
        ("wss+insecure://example.com", E::Scheme),
        ("wss:example.com", E::Slashes),
        ("wss:/example.com", E::Slashes),
        ("wss:///example.com", E::Slashes),
        (r"wss:\\example.com", E::Slashes),
        (r"wss:/\example.com", E::Slashes),
        (r"wss://good.example\.evil.net/", E::Backslash),
        (r"wss://good.example\@evil.net/", E::Backslash),
        (r"wss://h/a\b", E::Backslash),
        ("wss://user@h", E::Userinfo),
        ("wss://user:pass@h", E::Userinfo),
        ("wss://@h/", E::Userinfo),
        ("wss://:@h/", E::Userinfo),
        ("wss://a@b@h/", E::Userinfo),
        ("ws://good.example@127.0.0.1", E::Userinfo),
        ("wss://good.example:x@evil.net/", E::Userinfo),
        (" wss://h", E::SurroundingSpace),
        ("wss://h ", E::SurroundingSpace),
        ("wss://h\t", E::ControlCharacter { found: '\t' }),
        ("wss://h/\r\nX: y", E::ControlCharacter { found: '\r' }),
        ("ws\ns://h", E::ControlCharacter { found: '\n' }),
        ("wss://h/\0", E::ControlCharacter { found: '\0' }),
        ("wss://h/\u{7f}", E::ControlCharacter { found: '\u{7f}' }),
        ("wss://h/\u{85}", E::ControlCharacter { found: '\u{85}' }),
        ("wss://", E::HostMissing),
        ("wss://:80", E::HostMissing),
        ("wss://?q", E::HostMissing),
        ("wss://.", E::HostLabelEmpty { position: 1 }),
        ("wss://.example.org", E::HostLabelEmpty { position: 1 }),
        ("wss://a..b", E::HostLabelEmpty { position: 2 }),
        ("wss://a..", E::HostLabelEmpty { position: 2 }),
        ("wss://a*b", E::HostCharacter { position: 1, found: '*' }),
        ("wss://*.example.org", E::HostCharacter { position: 1, found: '*' }),
        ("wss://www.a;b", E::HostCharacter { position: 2, found: ';' }),
        ("wss://a,b", E::HostCharacter { position: 1, found: ',' }),
        ("wss://a`", E::HostCharacter { position: 1, found: '`' }),
        ("wss://a b", E::Host),
        ("wss://a%2fb", E::Host),
        ("wss://a%00b", E::Host),
        ("wss://xn--a", E::Host),
        ("wss://a<b", E::Host),
        (&long_label, E::HostLabelTooLong { position: 1, len: 64 }),
        (&long_name, E::HostTooLong { len: 255 }),
        ("ws://1.2.3.4.5", E::Ipv4),
        ("ws://256.1.1.1", E::Ipv4),
        ("ws://4294967296", E::Ipv4),
        ("ws://a.1", E::Ipv4),
        ("ws://[::1", E::Ipv6),
        ("ws://[fe80::1%lo]", E::Ipv6),
        ("ws://[fe80::1%25lo]", E::Ipv6),
        ("ws://[1.2.3.4]", E::Ipv6),
        ("wss://h:0", E::PortZero),
        ("wss://h:65536", E::Port),
        ("wss://h:-1", E::Port),
        ("wss://h:80x", E::Port),
        ("wss://h/#", E::Fragment),
        ("wss://h#a", E::Fragment),
        ("wss://h/?q#a", E::Fragment),
    ] {
        assert_eq!(CanonicalUrl::parse(input), Err(error), "{input}");
    }
}

#[test]
fn parts() {
    let parts = url("wss://example.com:8443/a/b?c=d?e");
    assert_eq!(parts.scheme(), Scheme::Wss);
    assert_eq!(parts.host(), Host::Name("example.com"));
    assert_eq!(parts.port(), 8443);
    assert_eq!(parts.origin(), "wss://example.com:8443");
    assert_eq!(parts.authority(), "example.com:8443");
    assert_eq!(parts.path(), "/a/b");
    assert_eq!(parts.request_target(), "/a/b?c=d?e");

    assert_eq!(url("ws://example.com:80").authority(), "example.com");
    assert_eq!(url("ws://example.com").port(), 80);
    assert_eq!(url("wss://[::1]:444").authority(), "[::1]:444");
    assert_eq!(url("wss://[::1]").port(), 443);
    assert_eq!(url("wss://h?").request_target(), "/?");
    assert_eq!("wss://h".parse(), Ok(url("wss://h")));
}

#[test]
fn nothing_secret_is_shown() {
    let url = url("wss://h/p?token=canary");
    assert_eq!(url.to_string(), "wss://h/p?…");
    assert_eq!(format!("{url:?}"), "CanonicalUrl(wss://h/p?…)");
    assert_eq!(CanonicalUrl::parse("wss://h/p").unwrap().to_string(), "wss://h/p");
    for input in
        ["wss://canary:canary@h/?canary", "canary:canary@h", "wss://h:canary/", "wss://h/#canary"]
    {
        let error = CanonicalUrl::parse(input).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}
