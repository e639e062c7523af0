mod failures;
mod handshake;
mod modern;
mod places;
mod server;
