//! Addresses that a policy does not mean when it says "any host".
//!
//! The ranges are those of the IANA special-purpose registries (RFC 6890), the same that the
//! kernel's table closes, each with the word a person knows it by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// The first range that holds an address names it.
const SPECIAL_V4: [(Ipv4Net, &str); 21] = [
    (v4(169, 254, 169, 254, 32), "metadata"), // most clouds
    (v4(168, 63, 129, 16, 32), "metadata"),   // Azure
    (v4(100, 100, 100, 200, 32), "metadata"), // Alibaba
    (v4(192, 0, 0, 192, 32), "metadata"),     // Oracle
    (v4(0, 0, 0, 0, 8), "this host"),         // Linux connects to itself
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"), // IETF protocol assignments
    (v4(192, 0, 2, 0, 24), "reserved"), // documentation
    (v4(192, 31, 196, 0, 24), "reserved"), // AS112
    (v4(192, 52, 193, 0, 24), "reserved"), // AMT
    (v4(192, 88, 99, 0, 24), "reserved"), // 6to4 relays
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "reserved"),   // benchmarking
    (v4(198, 51, 100, 0, 24), "reserved"), // documentation
    (v4(203, 0, 113, 0, 24), "reserved"),  // documentation
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"), // and broadcast
];

const SPECIAL_V6: [(Ipv6Net, &str); 11] = [
    (v6(0, 0, 0, 8), "reserved"), // unspecified, loopback, compatible and mapped IPv4
    (v6(0x0100, 0, 0, 64), "reserved"), // discard
    (v6(0x2001, 0, 0, 32), "Teredo"),
    (v6(0x2001, 0, 0, 23), "reserved"),     // protocol assignments
    (v6(0x2001, 0xdb8, 0, 32), "reserved"), // documentation
    (v6(0x3fff, 0, 0, 20), "reserved"),     // documentation
    (v6(0x5f00, 0, 0, 16), "reserved"),     // segment routing
    (v6(0xfc00, 0, 0, 7), "private"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xfec0, 0, 0, 10), "private"), // site-local
    (v6(0xff00, 0, 0, 8), "multicast"),
];

/// Amazon's metadata service over IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254);

/// The well-known NAT64 prefix (RFC 6052) and the one for local use (RFC 8215).
const NAT64: [Ipv6Net; 2] = [v6(0x0064, 0xff9b, 0, 96), v6(0x0064, 0xff9b, 1, 48)];

const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);

const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);

/// Why an address is special: `loopback`, `private`, `link-local`, `metadata`, `this host`,
/// `carrier-grade NAT`, `multicast`, `Teredo` or `reserved`; `None` for a public address.
///
/// An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo, ISATAP)
/// is as special as what it carries.
pub fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, class)| *class)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address == METADATA_V6 {
        return Some("metadata");
    }
    if address.is_loopback() {
        return Some("loopback");
    }
    if address.is_unspecified() {
        return Some("this host");
    }
    if let Some(class) = carried(address).into_iter().flatten().find_map(special_v4) {
        return Some(class);
    }
    // A mapped address is its IPv4 address to every socket call.
    if address.to_ipv4_mapped().is_some() {
        return None;
    }
    SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, class)| *class).filter(
        // What the well-known NAT64 prefix carries has been judged.
        |_| !NAT64[0].contains(&address),
    )
}

/// Whether an IPv6 address is another way to write or reach an IPv4 address.
pub(super) fn carries_v4(address: Ipv6Addr) -> bool {
    carried(address).iter().any(Option::is_some)
}

/// The IPv4 addresses that an IPv6 address leads to.
fn carried(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let [_, _, b2, b3, b4, b5, b6, b7, _, b9, b10, _, b12, b13, b14, b15] = address.octets();
    let last = Ipv4Addr::new(b12, b13, b14, b15);
    let [s0, s1, s2, s3, s4, s5, _, _] = address.segments();
    if (s0, s1, s2, s3, s4) == (0, 0, 0, 0, 0) && (s5 == 0 || s5 == 0xffff) && !low(address) {
        return [Some(last), None]; // compatible and mapped (RFC 4291, section 2.5.5)
    }
    if (s0, s1, s2, s3, s4, s5) == (0, 0, 0, 0, 0xffff, 0) {
        return [Some(last), None]; // translated (RFC 2765)
    }
    if NAT64[0].contains(&address) {
        return [Some(last), None];
    }
    if NAT64[1].contains(&address) {
        // An operator may use any prefix length of RFC 6052 from /48 on; both ends are judged, and
        // the end that is not in use holds zeros.
        let used = |address: &Ipv4Addr| address.octets().first() != Some(&0);
        let first = Ipv4Addr::new(b6, b7, b9, b10);
        return [Some(last).filter(used), Some(first).filter(used)];
    }
    if SIX_TO_FOUR.contains(&address) {
        return [Some(Ipv4Addr::new(b2, b3, b4, b5)), None];
    }
    if TEREDO.contains(&address) {
        // The server, and the client with its bits turned over (RFC 4380, section 4).
        let client = Ipv4Addr::new(!b12, !b13, !b14, !b15);
        return [Some(client), Some(Ipv4Addr::new(b4, b5, b6, b7))];
    }
    if s4 & 0xfcff == 0 && s5 == 0x5efe {
        return [Some(last), None]; // ISATAP (RFC 5214, section 6.1)
    }
    [None, None]
}

/// `::` and `::1` carry no IPv4 address.
fn low(address: Ipv6Addr) -> bool {
    address.is_unspecified() || address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Option<&'static str> {
        special(text.parse().unwrap())
    }

    #[test]
    fn every_way_to_a_special_address_is_seen() {
        for (address, expected) in [
            ("127.0.0.1", "loopback"),
            ("169.254.169.254", "metadata"),
            ("169.254.1.1", "link-local"),
            ("192.0.0.192", "metadata"),
            ("0.0.0.0", "this host"),
            ("255.255.255.255", "reserved"),
            ("::", "this host"),
            ("::1", "loopback"),
            ("::7f00:1", "loopback"),
            ("::ffff:10.1.2.3", "private"),
            ("::ffff:0:10.1.2.3", "private"),
            ("64:ff9b::a9fe:a9fe", "metadata"),
            ("64:ff9b:1::192.168.0.1", "private"),
            ("64:ff9b:1:c0a8:1:100::", "private"),
            ("2002:7f00:1::1", "loopback"),
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", "loopback"),
            ("2001:0:7f00:1::f7f7:f7f7", "loopback"),
            ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", "Teredo"),
            ("2a00::5efe:10.0.0.1", "private"),
            ("2a00::200:5efe:10.0.0.1", "private"),
            ("fd00:ec2::254", "metadata"),
            ("fd12::1", "private"),
            ("fe80::1", "link-local"),
            ("fec0::1", "private"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "reserved"),
        ] {
            assert_eq!(class(address), Some(expected), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_not() {
        for address in [
            "8.8.8.8",
            "172.15.255.255",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "11.0.0.1",
            "169.253.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00::5efe:8.8.8.8",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
        ] {
            assert_eq!(class(address), None, "{address}");
        }
    }

    #[test]
    fn a_local_nat64_prefix_is_never_public() {
        assert_eq!(class("64:ff9b:1::8.8.8.8"), Some("reserved"));
    }
}
