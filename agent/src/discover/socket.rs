//! Listening sockets, as `/proc/PID/net/tcp`, `tcp6` and `unix` tell (`proc_pid_net(5)`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket<A> {
    /// Where it listens.
    pub address: A,
    /// The inode by which a process's descriptors name it.
    pub inode: u64,
}

/// `TCP_LISTEN` (`include/net/tcp_states.h`).
const LISTEN: &str = "0A";
/// `__SO_ACCEPTCON` (include/linux/net.h): the socket listens.
const ACCEPTS: u64 = 1 << 16;

/// The listening sockets in a text such as `/proc/net/tcp` or `/proc/net/tcp6`.
pub fn listening_tcp(text: &str) -> Vec<Socket<SocketAddr>> {
    let socket = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (address, state) = (fields.nth(1)?, fields.nth(1)?);
        let inode = fields.nth(5)?.parse().ok()?;
        (state == LISTEN).then_some(Socket { address: address_of(address)?, inode })
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// The listening sockets with a path in a text such as `/proc/net/unix`.
pub fn listening_unix(text: &str) -> Vec<Socket<String>> {
    let socket = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let flags = u64::from_str_radix(fields.nth(3)?, 16).ok()?;
        let inode = fields.nth(2)?;
        // The path is the rest of the line, and may have spaces.
        let path = line.split_once(&format!(" {inode} "))?.1.trim_start();
        let listens = flags & ACCEPTS != 0 && path.starts_with(['/', '@']);
        listens.then_some(Socket { address: path.to_owned(), inode: inode.parse().ok()? })
    };
    text.lines().skip(1).filter_map(socket).collect()
}

/// An address as the kernel prints it: words in the byte order of the host, a port in hexadecimal.
fn address_of(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?);
            ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_addresses_are_read() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0\n\
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 100 0\n\
   broken\n";
        let found = listening_tcp(text);
        assert_eq!(found, [Socket { address: "127.0.0.1:8080".parse().unwrap(), inode: 4711 }]);
        let text = "header\n   0: 00000000000000000000000001000000:0050 0:0 0A 0:0 00:0 0 0 0 9 1\n\
                      1: 0000000000000000FFFF00000100007F:0051 0:0 0A 0:0 00:0 0 0 0 10 1\n";
        let found: Vec<_> = listening_tcp(text).iter().map(|s| s.address.to_string()).collect();
        assert_eq!(found, ["[::1]:80", "127.0.0.1:81"]);
    }

    #[test]
    fn listening_paths_are_read() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 1234 /run/a b.sock\n\
            0000000000000000: 00000002 00000000 00000000 0001 03 1235 /run/c.sock\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 1236\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 1237 @hidden\n";
        let found: Vec<_> = listening_unix(text).into_iter().map(|s| s.address).collect();
        assert_eq!(found, ["/run/a b.sock", "@hidden"]);
    }
}
