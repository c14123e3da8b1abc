//! Descriptors that JavaScript holds as numbers: made or taken in for a handle, and not in the reactor yet, or on their way
//! to a handle of Node's. JavaScript may be stopped before it passes one on (a Worker that is terminated), or never do so (a
//! socket that is bound and no more), so each has its owner here until somebody else has it.

use std::cell::RefCell;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use tsloop_core::command::{Command, Reader};

/// See the module. Touched by JavaScript's thread alone.
#[derive(Default)]
pub(crate) struct Held(RefCell<Vec<RawFd>>);

impl Held {
    /// JavaScript has this from now on; once, however often it is said.
    pub(crate) fn add(&self, fd: RawFd) {
        let mut all = self.0.borrow_mut();
        // libuv does not close standard streams either, whoever asks.
        if fd > libc::STDERR_FILENO && !all.contains(&fd) {
            all.push(fd);
        }
    }

    /// Somebody else has it, or it is closed; false if it was none of these.
    pub(crate) fn remove(&self, fd: RawFd) -> bool {
        let mut all = self.0.borrow_mut();
        let found = all.iter().position(|one| *one == fd);
        found.is_some_and(|at| all.swap_remove(at) == fd)
    }

    /// The reactor has what these commands bring.
    pub(crate) fn hand_over(&self, commands: &[u8]) {
        // Nearly always: a hand-over is read here only while a socket is on its way.
        if self.0.borrow().is_empty() {
            return;
        }
        for (_, command) in Reader::new(commands).map_while(Result::ok) {
            if let Command::OpenStream(fd, _) | Command::OpenListener(fd, _) | Command::OpenConnecting(fd) | Command::OpenDatagram(fd, _) = command {
                self.remove(fd);
            }
        }
    }

    /// The environment has ended.
    pub(crate) fn close(&self) {
        for fd in self.0.take() {
            // SAFETY: in this list because nobody else is to close it, and not in it any more.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}
