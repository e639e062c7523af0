//! Where a conversation hears its clients.

use tokio::sync::mpsc;

use super::clients::{Client, ClientKey};
use super::pool::Membership;
use crate::transport::{Heard, Inbox};

/// What a client said or did.
#[derive(Debug)]
pub(super) enum Said {
    /// It came.
    Joined(ClientKey, Box<Client>),
    /// It sent something.
    Heard(ClientKey, Heard),
    /// It closed its side.
    Left(ClientKey),
}

/// One client, or all that share a conversation.
#[derive(Debug)]
pub(super) enum Source {
    /// The only one, read where it is carried.
    Own(ClientKey, Inbox),
    /// Many, each read by a task of its own.
    Shared(mpsc::Receiver<Said>, Membership),
}

impl Source {
    /// What comes next. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> std::io::Result<Said> {
        match self {
            Self::Own(key, inbox) => Ok(match inbox.next().await? {
                Some(heard) => Said::Heard(*key, heard),
                None => Said::Left(*key),
            }),
            // The pool keeps a sender for as long as clients may join.
            Self::Shared(said, _) => match said.recv().await {
                Some(said) => Ok(said),
                None => std::future::pending().await,
            },
        }
    }

    /// Whether something else has come already.
    pub(super) fn has_next(&self) -> bool {
        match self {
            Self::Own(_, inbox) => inbox.has_next(),
            Self::Shared(said, _) => !said.is_empty(),
        }
    }

    /// Ends a shared conversation for clients to come, unless one has come already. Whether it did.
    pub(super) fn retire(&self) -> bool {
        match self {
            Self::Own(..) => false,
            Self::Shared(said, membership) => membership.end_if(|| said.is_empty()),
        }
    }
}
