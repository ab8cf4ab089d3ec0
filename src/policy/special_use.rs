use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Whether an address is one of the public Internet.
///
/// IPv4 addresses are, but for the special-purpose ranges of the IANA registry. IPv6 addresses are
/// if they lie in `2000::/3` and not in a range of special purpose there. Addresses that carry
/// another one inside (IPv4-mapped, NAT64, 6to4, Teredo) are not public, whatever they carry.
/// ISATAP addresses cannot be told by their prefix.
///
/// ```
/// assert!(wsvisor::policy::is_public("8.8.8.8".parse()?));
/// assert!(!wsvisor::policy::is_public("169.254.169.254".parse()?));
/// assert!(!wsvisor::policy::is_public("::ffff:8.8.8.8".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    SpecialUse::of(address).is_none()
}

/// A range of addresses that are not public, and what it is for.
///
/// `Display` writes it as in `10.0.0.0/8 (private, RFC 1918)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpecialUse {
    range: IpNet,
    purpose: &'static str,
}

impl SpecialUse {
    /// The range that keeps an address from being public; `None` for public addresses.
    #[must_use]
    pub fn of(address: IpAddr) -> Option<Self> {
        let named = TABLE.iter().find(|special| special.range.contains(&address)).copied();
        let is_other = matches!(address, IpAddr::V6(address) if !GLOBAL_UNICAST.contains(&address));
        named.or(is_other.then_some(OTHER_V6))
    }
}

impl fmt::Display for SpecialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.range, self.purpose)
    }
}

impl fmt::Debug for SpecialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpecialUse({self})")
    }
}

const fn v4(address: [u8; 4], prefix: u8, purpose: &'static str) -> SpecialUse {
    SpecialUse {
        range: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_octets(address), prefix)),
        purpose,
    }
}

const fn v6(segments: [u16; 8], prefix: u8, purpose: &'static str) -> SpecialUse {
    SpecialUse {
        range: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix)),
        purpose,
    }
}

/// The first range that holds an address names it, so a narrower range stands before a wider one.
const TABLE: &[SpecialUse] = &[
    v4([0, 0, 0, 0], 8, "this network, RFC 791"),
    v4([10, 0, 0, 0], 8, "private, RFC 1918"),
    v4([100, 64, 0, 0], 10, "carrier-grade NAT, RFC 6598"),
    v4([127, 0, 0, 0], 8, "loopback, RFC 1122"),
    v4([169, 254, 0, 0], 16, "link-local, RFC 3927"),
    v4([172, 16, 0, 0], 12, "private, RFC 1918"),
    v4([192, 0, 0, 0], 24, "IETF protocol assignments, RFC 6890"),
    v4([192, 0, 2, 0], 24, "documentation, RFC 5737"),
    v4([192, 88, 99, 0], 24, "6to4 relay anycast, RFC 7526"),
    v4([192, 168, 0, 0], 16, "private, RFC 1918"),
    v4([198, 18, 0, 0], 15, "benchmarking, RFC 2544"),
    v4([198, 51, 100, 0], 24, "documentation, RFC 5737"),
    v4([203, 0, 113, 0], 24, "documentation, RFC 5737"),
    v4([224, 0, 0, 0], 4, "multicast, RFC 5771"),
    v4([255, 255, 255, 255], 32, "limited broadcast, RFC 919"),
    v4([240, 0, 0, 0], 4, "reserved, RFC 1112"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped, RFC 4291"),
    v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "IPv4-compatible, RFC 4291"),
    v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "NAT64, RFC 6052"),
    v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "local-use NAT64, RFC 8215"),
    v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only, RFC 6666"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo, RFC 4380"),
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "IETF protocol assignments, RFC 2928"),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation, RFC 3849"),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4, RFC 3056"),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation, RFC 9637"),
    v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, "segment routing, RFC 9602"),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local, RFC 4193"),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local, RFC 4291"),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "site-local, RFC 3879"),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast, RFC 4291"),
];

/// IPv6 without its other uses (RFC 4291 §2.4): all that may be public.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const OTHER_V6: SpecialUse = v6([0; 8], 0, "not global unicast, which is 2000::/3, RFC 4291");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_shown_with_its_purpose() {
        let private = SpecialUse::of("10.1.2.3".parse().unwrap()).unwrap();
        assert_eq!(
            format!("{private} {private:?}"),
            "10.0.0.0/8 (private, RFC 1918) SpecialUse(10.0.0.0/8 (private, RFC 1918))"
        );
    }

    /// The specification, apart from the table that implements it.
    const BLOCKED_V4: &str = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 \
        192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 \
        203.0.113.0/24 224.0.0.0/4 240.0.0.0/4";
    const PUBLIC_V6: &str = "2000::/3";
    const BLOCKED_V6: &str = "2001::/23 2001:db8::/32 2002::/16 3fff::/20";
    /// Ranges that the IPv6 specification covers without naming them.
    const COVERED_V6: &str = "::/128 ::1/128 ::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 fc00::/7 \
        fe80::/10 fec0::/10 ff00::/8 100::/64 5f00::/16 2001::/32";

    fn nets(list: &str) -> Vec<IpNet> {
        list.split_whitespace().map(|net| net.parse().unwrap()).collect()
    }

    fn is_public_by_specification(address: IpAddr) -> bool {
        let is_in = |list| nets(list).iter().any(|net| net.contains(&address));
        if address.is_ipv4() { !is_in(BLOCKED_V4) } else { is_in(PUBLIC_V6) && !is_in(BLOCKED_V6) }
    }

    fn edges(net: IpNet) -> Vec<IpAddr> {
        let (first, last) = (net.network(), net.broadcast());
        let before = match first {
            IpAddr::V4(ip) => {
                ip.to_bits().checked_sub(1).map(|bits| Ipv4Addr::from_bits(bits).into())
            }
            IpAddr::V6(ip) => {
                ip.to_bits().checked_sub(1).map(|bits| Ipv6Addr::from_bits(bits).into())
            }
        };
        let after = match last {
            IpAddr::V4(ip) => {
                ip.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into())
            }
            IpAddr::V6(ip) => {
                ip.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into())
            }
        };
        [Some(first), Some(last), before, after].into_iter().flatten().collect()
    }

    #[test]
    fn the_edges_of_every_range() {
        let lists = [BLOCKED_V4, PUBLIC_V6, BLOCKED_V6, COVERED_V6].map(nets).concat();
        let from_table = TABLE.iter().map(|special| special.range);
        for net in lists.into_iter().chain(from_table) {
            for address in edges(net) {
                assert_eq!(is_public(address), is_public_by_specification(address), "{address}");
            }
        }
        for net in [BLOCKED_V4, BLOCKED_V6, COVERED_V6].map(nets).concat() {
            assert!(!is_public(net.network()) && !is_public(net.broadcast()), "{net}");
        }
    }

    #[test]
    fn neighbours_of_the_blocked_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2000:ffff::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2001:ffff::",
            "2003::",
            "3ffe::",
            "3fff:1000::",
            "2606:4700:4700::1111",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn addresses_that_carry_another() {
        for address in [
            "::ffff:7f00:1",
            "::ffff:8.8.8.8",
            "::ffff:a9fe:a9fe",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2001:0:808:808::1",
            "::ffff:0:808:808",
            "fd00:ec2::254",
            "fe80::1",
            "169.254.169.254",
            "255.255.255.255",
            "::",
            "::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    /// The first and the last address of each blocked IPv4 range, and public ones beside them, in every
    /// form that carries an IPv4 address.
    #[test]
    fn no_form_that_carries_an_ipv4_address_is_public() {
        let carried = nets(BLOCKED_V4).into_iter().flat_map(edges);
        for address in carried {
            let IpAddr::V4(v4) = address else { panic!("{address}") };
            let [a, b, c, d] = v4.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for form in [
                v4.to_ipv6_mapped(),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, high, low >> 8, low << 8, 0, 0),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, !high, !low),
            ] {
                assert!(!is_public(form.into()), "{form} carries {v4}");
            }
        }
    }

    #[test]
    fn each_range_has_its_name() {
        for (address, text) in [
            ("10.1.2.3", "10.0.0.0/8 (private, RFC 1918)"),
            ("127.0.0.1", "127.0.0.0/8 (loopback, RFC 1122)"),
            ("255.255.255.255", "255.255.255.255/32 (limited broadcast, RFC 919)"),
            ("::1", "::1/128 (loopback, RFC 4291)"),
            ("::2", "::/96 (IPv4-compatible, RFC 4291)"),
            ("2001::1", "2001::/32 (Teredo, RFC 4380)"),
            ("4000::", "::/0 (not global unicast, which is 2000::/3, RFC 4291)"),
        ] {
            assert_eq!(SpecialUse::of(address.parse().unwrap()).unwrap().to_string(), text);
        }
    }
}
