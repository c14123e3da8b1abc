//! The synchronisation primitives of seat and mailbox: the standard library's, or loom's when a model is checked
//! (`--cfg tsloop_loom`; a name of our own, because `--cfg loom` would change what we depend on as well).

#[cfg(not(tsloop_loom))]
pub use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(tsloop_loom)]
pub use loom::sync::{Mutex, MutexGuard, atomic};
