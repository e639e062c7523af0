mod failures;
mod handshake;
mod modern;
mod places;
mod real;
mod server;
