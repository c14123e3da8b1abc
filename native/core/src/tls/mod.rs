//! TLS without input and output.
//!
//! What a ClientHello asks for ([`hello`]), what OpenSSL would answer to it and whether rustls can ([`choose`], [`groups`]), and why a connection is
//! OpenSSL's ([`reasons`]); rustls' configurations ([`context`]), its connections ([`session`]) and their tickets ([`tickets`]).

pub mod choose;
#[cfg(feature = "rustls")]
pub mod context;
pub mod groups;
pub mod hello;
pub mod reasons;
#[cfg(feature = "rustls")]
pub mod session;
#[cfg(feature = "rustls")]
pub mod spki;
#[cfg(feature = "rustls")]
pub mod tickets;
