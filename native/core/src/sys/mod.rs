//! The operating system: the only place for `libc` calls and most of the `unsafe`.

mod unix;

pub mod datagram;
pub mod process;
pub mod sync;
pub mod timer;

pub use unix::*;
