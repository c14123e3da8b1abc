//! The OpenSSL that Node itself runs on, as an oracle: what a secure context is configured to do, whether a chain of certificates is
//! trusted, how an error is worded.
//!
//! Nothing of OpenSSL is linked or brought along. Its functions are looked up in the process ([`table`]); where one is missing, or where it
//! is another library or another major version, there is no oracle, with a reason, and TLS stays Node's.
//!
//! Map: [`external`] gets from `context._external` to the `SSL_CTX`; [`context`] reads that into a [`context::Snapshot`]; [`verify`] judges
//! chains by the context's own store; [`codes`] and [`reasons`] have the names; [`gate`] keeps threads out of OpenSSL once the process ends.
//!
//! Rules:
//! 1. Node's objects are read, never written: what is needed in another state (a current certificate, a list of groups) is asked of a
//!    temporary `SSL` made from the context, whose callbacks are not reached before a hello was answered.
//! 2. Contexts are read on JavaScript's thread, which is the only one that changes them. Chains are judged on any thread, inside the gate.
//! 3. Private keys leave this crate as [`zeroize::Zeroizing`] memory, and appear in no `Debug`.

pub mod codes;
pub mod context;
mod errors;
pub mod external;
pub mod gate;
mod hello;
mod owned;
pub mod reasons;
pub mod table;
pub mod verify;

pub use table::{Absent, OpenSsl};
