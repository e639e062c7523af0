//! The name servers that answer for listed names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use hickory_net::NetError;
use hickory_net::tcp::TcpClientStream;
use hickory_net::udp::UdpClientStream;
use hickory_net::xfer::{DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::wire::Wire;

/// How long all name servers together may take. Clients wait for 5 seconds (resolv.conf(5),
/// `timeout`): the answer that none came must arrive before they ask again.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long one is waited for before the next is asked, too.
const STAGGER: Duration = Duration::from_millis(800);

/// After how long a packet is sent again.
const RESEND: Duration = Duration::from_millis(700);

/// Name servers of a host that are used (resolv.conf(5), `MAXNS`).
const MAX_SERVERS: usize = 3;

/// Name servers, asked in their order.
#[derive(Debug, Clone)]
pub struct Upstream {
    servers: Vec<SocketAddr>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// None answered in time.
    #[error("no name server answered within {} seconds", PATIENCE.as_secs())]
    Silent,
    /// The last one to answer could not.
    #[error("name server {server} {why}")]
    Failed {
        /// The server.
        server: SocketAddr,
        /// What it did.
        why: String,
    },
}

impl Upstream {
    /// Name servers by address and port.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    /// The name servers of this host, from /etc/resolv.conf.
    pub fn of_host() -> io::Result<Self> {
        Self::read(Path::new("/etc/resolv.conf"))
    }

    /// The name servers of a file in the format of resolv.conf(5). As for every other reader of it,
    /// no file and no name server mean the one on this host.
    pub fn read(file: &Path) -> io::Result<Self> {
        match std::fs::read(file) {
            Ok(text) => Ok(Self::new(parse(&String::from_utf8_lossy(&text)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::new(parse(""))),
            Err(error) => Err(error),
        }
    }

    /// The name servers.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The first answer that says something about `name`: that it exists or that it does not.
    pub(super) async fn ask(
        &self,
        name: &Name,
        kind: RecordType,
    ) -> Result<Message, UpstreamError> {
        let query = Query::query(name.clone(), kind);
        timeout(PATIENCE, self.race(query)).await.unwrap_or(Err(UpstreamError::Silent))
    }

    async fn race(&self, query: Query) -> Result<Message, UpstreamError> {
        let mut tries = JoinSet::new();
        let mut servers = self.servers.iter();
        let mut failure = UpstreamError::Silent;
        loop {
            let next = servers.next();
            if let Some(&server) = next {
                let query = query.clone();
                tries.spawn(
                    async move { exchange(server, query).await.map_err(|why| (server, why)) },
                );
            }
            let done = tokio::select! {
                done = tries.join_next() => done,
                () = sleep(STAGGER), if servers.len() > 0 => continue,
            };
            match done {
                None => return Err(failure),
                Some(Ok(Ok(answer))) => return Ok(answer),
                Some(Ok(Err((server, why)))) => failure = UpstreamError::Failed { server, why },
                Some(Err(_)) => {} // called off
            }
        }
    }
}

/// Asks one name server over UDP, and over TCP when the answer did not fit or the server does not
/// keep the case of letters that protects the exchange from forgery.
async fn exchange(server: SocketAddr, query: Query) -> Result<Message, String> {
    let provider = Wire::default();
    let mut stream =
        UdpClientStream::builder(server, provider).with_timeout(Some(PATIENCE)).build();
    let mut options = DnsRequestOptions::default();
    options.case_randomization = true;
    options.retry_interval = RESEND;
    let request = DnsRequest::from_query(query.clone(), options);
    let answer = match stream.send_message(request).first_answer().await {
        Ok(answer) if answer.metadata.truncation => over_tcp(server, &query).await?,
        Err(NetError::QueryCaseMismatch) => over_tcp(server, &query).await?,
        other => other.map_err(|error| explain(&error))?,
    };
    let answer = answer.into_message();
    if answer.queries != [query] {
        return Err("answered another question".to_owned());
    }
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        code => Err(format!("answered: {code}")),
    }
}

async fn over_tcp(server: SocketAddr, query: &Query) -> Result<DnsResponse, String> {
    // Its task, which carries the bytes, ends with the last provider.
    let provider = Wire::default();
    let exchange = TcpClientStream::exchange(server, None, PATIENCE, None, provider.clone()).await;
    let exchange = exchange.map_err(|error| explain(&error))?;
    let request = DnsRequest::from_query(query.clone(), DnsRequestOptions::default());
    let answer = exchange.send(request).first_answer().await.map_err(|error| explain(&error));
    drop(provider);
    answer
}

fn explain(error: &NetError) -> String {
    match error {
        NetError::Timeout => "did not answer in time".to_owned(),
        other => format!("cannot be used: {other}"),
    }
}

/// Reads the `nameserver` lines of resolv.conf(5). Lines that cannot be used are skipped, as the C
/// library does.
fn parse(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then_some(())?;
        words.next()?.parse::<IpAddr>().ok()
    });
    let mut servers: Vec<_> =
        addresses.take(MAX_SERVERS).map(|ip| SocketAddr::new(ip, 53)).collect();
    if servers.is_empty() {
        servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        parse(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn name_servers_are_read_as_the_c_library_does() {
        let text = "# made by hand\nsearch example.com\nnameserver 192.0.2.1\n\
                    \tnameserver\t2001:db8::53 # home\nnameserver nonsense\n; nameserver 192.0.2.9\n\
                    nameserver 192.0.2.2\nnameserver 192.0.2.3\noptions edns0\n";
        assert_eq!(read(text), ["192.0.2.1:53", "[2001:db8::53]:53", "192.0.2.2:53"]);
        assert_eq!(read(""), ["127.0.0.1:53"]);
        let missing = Upstream::read(Path::new("/nonexistent/resolv.conf")).unwrap();
        assert_eq!(missing.servers().len(), 1);
        assert!(Upstream::read(Path::new("/")).is_err(), "a directory is an error");
    }
}
