//! What a file effect is to a policy.

use crate::warrant::{Effect, EffectKind, FileTarget, Outcome, Target};

/// A key under which a policy grants files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Access {
    Read,
    Write,
    Delete,
    Exec,
    /// Code that is mapped: what `ambient.read` covers, and no tool's `read`.
    Map,
}

/// An effect, as policy sees it.
pub(super) enum Sort<'a> {
    File(Access, &'a FileTarget),
    /// A connection or datagram.
    Peer,
    /// A local port.
    Port,
    /// A Unix socket, by path.
    Unix(&'a str),
    /// Nothing that a policy can allow, and why.
    Never(&'static str),
}

/// Sorts an effect.
pub(super) fn sort(effect: &Effect) -> Sort<'_> {
    if effect.outcome == Outcome::Denied {
        return Sort::Never("the kernel refused it");
    }
    let file = match &effect.target {
        Target::File(file) if file.truncated => {
            return Sort::Never("its path could not be read whole");
        }
        Target::File(file) => file,
        Target::Peer(_) => {
            return match effect.kind {
                EffectKind::Connect | EffectKind::Send => Sort::Peer,
                EffectKind::Bind => Sort::Port,
                _ => Sort::Never("no policy can allow it"),
            };
        }
    };
    let access = match effect.kind {
        EffectKind::FileRead => Access::Read,
        EffectKind::FileWrite
        | EffectKind::FileCreate
        | EffectKind::FileRename
        | EffectKind::FileLink
        | EffectKind::FileAttributes => Access::Write,
        EffectKind::FileDelete => Access::Delete,
        EffectKind::Exec => Access::Exec,
        EffectKind::FileMap => Access::Map,
        EffectKind::ConnectUnix if is_plain_socket(&file.path) => return Sort::Unix(&file.path),
        EffectKind::ConnectUnix => return Sort::Never("no policy can name such a socket"),
        _ => return Sort::Never("no policy can allow it"),
    };
    if file.path.starts_with('/') {
        Sort::File(access, file)
    } else {
        Sort::Never("it has no path")
    }
}

/// Whether `network.unix` can list a socket.
fn is_plain_socket(path: &str) -> bool {
    let odd = |c: char| c.is_control() || "*?[{".contains(c);
    path.starts_with('/') && path.len() <= 107 && !path.contains(odd)
}
