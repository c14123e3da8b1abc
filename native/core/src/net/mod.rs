//! What is special to each kind of socket: making, binding, listening, connecting, naming.
//!
//! Everything here acts on a descriptor at once and on the caller's thread; nothing needs the reactor, save
//! [`listen`], the accept loop that it runs.

pub mod address;
pub mod listen;
pub mod options;
pub mod pipe;
pub mod tcp;
pub mod udp;
