//! TLS without input and output: what a ClientHello asks for ([`hello`]), what OpenSSL would answer to it and whether rustls can
//! ([`choose`]), and why a connection is OpenSSL's ([`reasons`]).

pub mod choose;
pub mod hello;
pub mod reasons;
