//! From a query's bytes to an answer's bytes, for one session.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Name;
use tokio::sync::Semaphore;

use super::answer::{self, Found};
use super::known::Known;
use super::ledger::Ledger;
use super::pace::Pace;
use super::query::{Asked, Question};
use super::reply::{Reply, Transport, bare};
use super::{AddressBook, LINGER, Upstream};
use crate::policy::network::looked_up_as;
use crate::policy::{NameDenial, Names};

/// Questions that name servers are asked at once for a session; more wait.
const MAX_FORWARDED: usize = 64;

/// What answers a session's questions.
pub(super) struct Engine {
    /// Held while an address is opened, so that none is by names that were replaced.
    names: RwLock<Arc<Names>>,
    upstream: Mutex<Arc<Upstream>>,
    book: Arc<dyn AddressBook>,
    pub(super) ledger: Ledger,
    known: Mutex<Known>,
    pace: Mutex<Pace>,
    started: Instant,
    slots: Semaphore,
}

impl Engine {
    pub(super) fn new(names: Arc<Names>, upstream: Upstream, book: Arc<dyn AddressBook>) -> Self {
        Self {
            names: RwLock::new(names),
            upstream: Mutex::new(Arc::new(upstream)),
            book,
            ledger: Ledger::default(),
            known: Mutex::default(),
            pace: Mutex::new(Pace::new()),
            started: Instant::now(),
            slots: Semaphore::new(MAX_FORWARDED),
        }
    }

    /// Goes by other names, and asks others for them.
    pub(super) fn renew(&self, names: Arc<Names>, upstream: Upstream) {
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(upstream);
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn names(&self) -> RwLockReadGuard<'_, Arc<Names>> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a packet; `None` when it gets none.
    pub(super) async fn answer(&self, packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let question = match Asked::read(packet) {
            Asked::Nothing => return None,
            Asked::Refused { id, code, question: None } => return bare(id, code),
            Asked::Refused { code, question: Some(question), .. } => {
                return Reply::empty(code).encode(&question, transport);
            }
            Asked::Question(question) => question,
        };
        self.reply(&question).await.encode(&question, transport)
    }

    async fn reply(&self, question: &Question) -> Reply {
        if !self.with_pace(Pace::query) {
            return self.refuse(question, ResponseCode::Refused, "the session asks too much");
        }
        let listed = question.name.as_deref().ok_or(NameDenial::NoName);
        let listed = listed.and_then(|name| Ok((name, self.names().find(name)?)));
        let (name, listed) = match listed {
            Ok(listed) => listed,
            Err(denial) => return self.refuse(question, ResponseCode::NXDomain, &denial),
        };
        if !question.is_address() {
            // Hints in other types (SVCB, HTTPS) are addresses that nobody has judged, and free text
            // is a way in and out.
            return Reply::empty(ResponseCode::NoError);
        }
        if !listed.exact && !self.with_pace(|pace, now| pace.name(name, now)) {
            let why = "the session asks for too many different names; list them without wildcards";
            return self.refuse(question, ResponseCode::Refused, why);
        }
        match self.look_up(question, name).await {
            Ok(found) => self.open(question, name, found),
            Err(why) => {
                self.note(question, &why, false);
                // Who was asked is nothing that a server needs to know.
                Reply::because(ResponseCode::ServFail, &"no name server could answer")
            }
        }
    }

    /// What name servers say about the name in the form that was judged.
    async fn look_up(&self, question: &Question, name: &str) -> Result<Found, String> {
        let _slot = self.slots.acquire().await.map_err(|error| error.to_string())?;
        let name = Name::from_ascii(format!("{name}.")).map_err(|error| error.to_string())?;
        let kind = question.query.query_type();
        let upstream = self.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = upstream.ask(&name, kind).await.map_err(|error| error.to_string())?;
        answer::read(&answer, &name, kind).map_err(|error| error.to_string())
    }

    /// Opens the addresses, and answers with those that are open.
    fn open(&self, question: &Question, name: &str, found: Found) -> Reply {
        // Anew: the names may be others by now.
        let names = self.names();
        let listed = match names.find(name) {
            Ok(listed) => listed,
            Err(denial) => return self.refuse(question, ResponseCode::NXDomain, &denial),
        };
        if !found.exists && found.addresses.is_empty() {
            return Reply::empty(ResponseCode::NXDomain);
        }
        let lives = LINGER + std::time::Duration::from_secs(found.ttl.into());
        let mut denied = None;
        let mut failed = None;
        let mut addresses = Vec::new();
        for address in found.addresses {
            match names.judge_address(address, &listed.allowed) {
                Err(denial) => denied = Some(denial),
                Ok(allowed) => match self.book.open(looked_up_as(address), name, &allowed, lives) {
                    Ok(()) => addresses.push(address),
                    Err(why) => failed = Some(format!("{address} cannot be opened: {why}")),
                },
            }
        }
        if let Some(denial) = &denied {
            self.note(question, denial, true);
        }
        if let Some(why) = &failed {
            self.note(question, why, false);
        }
        self.remember(&addresses, name);
        let code = ResponseCode::NoError;
        match (addresses.is_empty(), denied, failed) {
            (false, ..) => Reply { code, addresses, ttl: found.ttl, why: None },
            (true, Some(denial), _) => Reply::because(code, &denial),
            (true, None, Some(_)) => {
                Reply::because(ResponseCode::ServFail, &"its addresses cannot be opened")
            }
            (true, None, None) => Reply::empty(code),
        }
    }

    /// The names that have led to an address, the oldest first.
    pub(super) fn names_of(&self, address: IpAddr) -> Vec<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.names(looked_up_as(address))
    }

    fn remember(&self, addresses: &[IpAddr], name: &str) {
        // A panic between two notes leaves notes that are still true.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            known.note(looked_up_as(*address), name);
        }
    }

    /// Notes a refusal by policy and makes its answer.
    fn refuse(
        &self,
        question: &Question,
        code: ResponseCode,
        why: &(impl ToString + ?Sized),
    ) -> Reply {
        self.note(question, why, true);
        Reply::because(code, &why.to_string())
    }

    fn note(&self, question: &Question, why: &(impl ToString + ?Sized), by_policy: bool) {
        let kind = question.query.query_type().to_string();
        self.ledger.enter(question.shown(), kind, why.to_string(), by_policy);
    }

    fn with_pace<T>(&self, f: impl FnOnce(&mut Pace, std::time::Duration) -> T) -> T {
        // A panic between two counts leaves counts that are still true.
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut pace, self.started.elapsed())
    }
}
