//! The resolver against name servers and clients over real sockets on loopback.

mod answers;
mod refusals;
mod trouble;
mod world;
