use proptest::prelude::*;

use super::*;
use crate::warrant::FileTarget;

/// A record as the kernel writes it.
#[derive(Clone)]
struct Record {
    kind: EventKind,
    outcome: u8,
    flags: u16,
    exe: FileId,
    body: Vec<u8>,
}

impl Record {
    fn file(kind: EventKind, open_flags: i32, mode: u32, flags: u16, components: &[&[u8]]) -> Self {
        let mut path = Vec::new();
        for component in components {
            path.extend(u16::try_from(component.len()).unwrap().to_le_bytes());
            path.extend(*component);
        }
        let mut body = Vec::new();
        body.extend(77u64.to_ne_bytes());
        body.extend((8u32 << 20 | 3).to_ne_bytes());
        body.extend(open_flags.to_ne_bytes());
        body.extend(mode.to_ne_bytes());
        body.extend(u16::try_from(path.len()).unwrap().to_ne_bytes());
        body.extend(u16::try_from(components.len()).unwrap().to_ne_bytes());
        body.extend([0; 8]);
        body.extend(path);
        Self { kind, outcome: 0, flags, exe: (1, 2), body }
    }

    fn network(kind: EventKind, address: Ipv6Addr, port: u16, protocol: u16) -> Self {
        let mut body = address.octets().to_vec();
        for word in [port, protocol, 2, 0] {
            body.extend(word.to_ne_bytes());
        }
        Self { kind, outcome: 1, flags: 0, exe: (1, 2), body }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(5u64.to_ne_bytes());
        bytes.extend(6u64.to_ne_bytes());
        for word in [7u32, 100, 101, 65_534] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([self.kind as u8, self.outcome]);
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(self.exe.0.to_ne_bytes());
        bytes.extend(self.exe.1.to_ne_bytes());
        bytes.extend(b"node\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(&self.body);
        bytes
    }

    fn decode(&self) -> Decoded {
        decode(&self.bytes(), 9, |id| (id == (1, 2)).then(|| "/usr/bin/node".into())).unwrap()
    }
}

const PASSWD: [&[u8]; 2] = [b"passwd", b"etc"];

fn open(open_flags: i32, mode: u32, flags: u16) -> Vec<EffectKind> {
    let record = Record::file(EventKind::Open, open_flags, mode, flags, &PASSWD);
    record.decode().effects.into_iter().map(|effect| effect.kind).collect()
}

fn target(flags: u16, components: &[&[u8]]) -> FileTarget {
    let record = Record::file(EventKind::Open, 0, 0, flags, components);
    match record.decode().effects.remove(0).target {
        Target::File(file) => file,
        Target::Peer(peer) => panic!("{peer:?}"),
    }
}

#[test]
fn an_open_says_who_what_and_when() {
    let effect = Record::file(EventKind::Open, 0, 0, 0, &PASSWD).decode().effects.remove(0);
    let file = FileTarget {
        path: "/etc/passwd".into(),
        dev: libc::makedev(8, 3),
        ino: 77,
        truncated: false,
    };
    let process = Process { pid: 100, tid: 101, uid: 65_534, exe: "/usr/bin/node".into() };
    let expected = Effect {
        kind: EffectKind::FileRead,
        outcome: Outcome::Allowed,
        target: Target::File(file),
        argv: Vec::new(),
        argv_cut: false,
        process,
        seq: 9,
        boot_ns: 5,
    };
    assert_eq!(effect, expected);
}

#[test]
fn access_follows_flags_and_mode() {
    use EffectKind::{FileCreate, FileRead, FileWrite};
    assert_eq!(open(libc::O_RDONLY, 0, 0), [FileRead]);
    assert_eq!(open(libc::O_WRONLY, 0, 0), [FileWrite]);
    assert_eq!(open(libc::O_RDWR, 0, 0), [FileRead, FileWrite]);
    assert_eq!(open(libc::O_ACCMODE, 0, 0), [FileRead, FileWrite]);
    assert_eq!(open(libc::O_WRONLY, FMODE_CREATED, 0), [FileCreate]);
    assert_eq!(open(libc::O_RDONLY, FMODE_CREATED, 0), [FileRead, FileCreate]);
    assert_eq!(open(libc::O_RDWR | libc::O_TMPFILE, 0, 0), [FileRead, FileCreate]);
    assert_eq!(open(libc::O_RDONLY | libc::O_DIRECTORY, 0, 0), [FileRead]);
    assert_eq!(open(libc::O_RDONLY, 0, flags::EMPTIED), [FileRead, FileWrite]);
    assert_eq!(open(libc::O_PATH, 0, 0), []);
    // A descriptor that vanished says nothing of its flags: the cautious reading counts.
    assert_eq!(open(libc::O_PATH, 0, flags::VANISHED), [FileRead]);
}

#[test]
fn paths_are_whole_or_marked() {
    let seen = |flags, components: &[&[u8]]| {
        let file = target(flags, components);
        (file.path, file.truncated)
    };
    assert_eq!(seen(0, &PASSWD), ("/etc/passwd".into(), false));
    assert_eq!(seen(0, &[]), ("/".into(), false));
    assert_eq!(seen(flags::UNLINKED, &PASSWD), ("/etc/passwd (deleted)".into(), false));
    assert_eq!(seen(flags::TRUNCATED, &PASSWD), (".../etc/passwd".into(), true));
    assert_eq!(seen(flags::DETACHED, &PASSWD), (".../etc/passwd".into(), true));
    assert_eq!(seen(flags::VANISHED | flags::TRUNCATED, &[]), (String::new(), true));
    assert_eq!(seen(flags::PATHLESS, &[b"memfd:x"]), ("memfd:x".into(), false));
    assert_eq!(seen(flags::PATHLESS, &[b"/etc/passwd"]), ("etc/passwd".into(), false));
    assert_eq!(seen(flags::PATHLESS, &[b""]), ("anonymous".into(), false));
    assert_eq!(seen(flags::PATHLESS, &[b"/"]), ("anonymous".into(), false));
    assert_eq!(seen(0, &[b"\xff\xfe", b"a b"]), ("/a b/\u{fffd}\u{fffd}".into(), false));
}

#[test]
fn components_that_do_not_add_up_mark_the_path() {
    let mut record = Record::file(EventKind::Open, 0, 0, 0, &PASSWD);
    // The number of components, before the path.
    record.body[22] = 3;
    let Target::File(file) = record.decode().effects.remove(0).target else { panic!("no file") };
    assert!(file.truncated);
}

#[test]
fn an_exec_names_its_process() {
    let mut record = Record::file(EventKind::Exec, 0, 0, 0, &[b"true", b"bin"]);
    record.exe = (8 << 20 | 3, 77);
    let decoded = record.decode();
    assert_eq!(decoded.program, Some(((8 << 20 | 3, 77), "/bin/true".into())));
    assert_eq!(decoded.effects[0].kind, EffectKind::Exec);
    assert_eq!(decoded.effects[0].process.exe, "/bin/true");
}

#[test]
fn unknown_programs_show_their_short_name() {
    let mut record = Record::file(EventKind::Open, 0, 0, 0, &PASSWD);
    record.exe = (0, 0);
    assert_eq!(record.decode().effects[0].process.exe, "[node]");
}

#[test]
fn peers_are_shown_as_people_write_them() {
    let seen = |kind, address: &str, port, protocol| {
        let effect = Record::network(kind, address.parse().unwrap(), port, protocol)
            .decode()
            .effects
            .remove(0);
        let Target::Peer(peer) = effect.target else { panic!("no peer") };
        (effect.kind, effect.outcome, peer.peer.to_string(), peer.protocol)
    };
    let denied = Outcome::Denied;
    assert_eq!(
        seen(EventKind::Connect, "::ffff:10.0.0.1", 443, 6),
        (EffectKind::Connect, denied, "10.0.0.1:443".into(), Protocol::Tcp)
    );
    assert_eq!(
        seen(EventKind::Connect, "64:ff9b::a00:1", 443, 262),
        (EffectKind::Connect, denied, "[64:ff9b::a00:1]:443".into(), Protocol::Tcp)
    );
    assert_eq!(
        seen(EventKind::Send, "2600::1", 53, 17),
        (EffectKind::Send, denied, "[2600::1]:53".into(), Protocol::Udp)
    );
    assert_eq!(
        seen(EventKind::Packet, "::ffff:8.8.8.8", 0, 1),
        (EffectKind::Packet, denied, "8.8.8.8:0".into(), Protocol::Other(1))
    );
    assert_eq!(
        seen(EventKind::Socket, "::", 0, 255),
        (EffectKind::Socket, denied, "0.0.0.0:0".into(), Protocol::Other(255))
    );
}

#[test]
fn cut_records_are_refused() {
    for record in [
        Record::file(EventKind::Open, 0, 0, 0, &PASSWD),
        Record::network(EventKind::Connect, Ipv6Addr::LOCALHOST, 1, 6),
    ] {
        let bytes = record.bytes();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length], 1, |_| None).is_none(), "{length}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_do_not(mut bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..8) {
        if let Some(place) = bytes.get_mut(36) {
            *place = kind;
        }
        if let Some(decoded) = decode(&bytes, 1, |_| None) {
            for effect in decoded.effects {
                if let Target::File(file) = effect.target {
                    // Whole paths of files are absolute; a cut one never looks so.
                    prop_assert!(!file.truncated || !file.path.starts_with('/'));
                }
            }
        }
    }

    #[test]
    fn components_come_back_in_order(names in prop::collection::vec("[^/\0]{1,20}", 0..20)) {
        let reversed: Vec<&[u8]> = names.iter().rev().map(String::as_bytes).collect();
        prop_assert_eq!(target(0, &reversed).path, format!("/{}", names.join("/")));
    }
}
