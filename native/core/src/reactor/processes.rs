//! Children whose end is watched for.
//!
//! JavaScript's thread is told that a child ended and takes the status itself: until then the child's number is its own,
//! whoever has the seat, as on plain Node. A child that nobody wants to hear of any more is reaped here.

use std::os::fd::{AsFd, OwnedFd};

use super::{Entry, Reactor, Turn};
use crate::event::Op;
use crate::sys::process;
use crate::table::Id;

/// Turns for which the end of a child waits while what others wrote finds no room in a batch: it may have written some
/// of that. More than a batch is ever without room in a row, save where JavaScript is far behind; then it is told anyway.
const PUT_OFF: u8 = 16;

/// One child. Only ever touched under the reactor's lock.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) fd: OwnedFd,
    /// Nobody is told of its end.
    given_up: bool,
    /// Its end has been told.
    told: bool,
    /// Turns for which that has been put off.
    put_off: u8,
}

impl Entry {
    pub(super) fn process(fd: OwnedFd) -> Self {
        Self::Process(Child { fd, given_up: false, told: false, put_off: 0 })
    }
}

impl Child {
    /// JavaScript has closed its handle; true if there is nothing left to wait for.
    pub(super) fn give_up(&mut self) -> bool {
        self.given_up = true;
        !matches!(process::reap(self.fd.as_fd()), Ok(None))
    }
}

impl Reactor {
    /// Children that run, or whose status nobody has asked for yet.
    #[must_use]
    pub fn children(&self) -> usize {
        self.open.children
    }

    /// JavaScript knew of the end before it had asked for what the child wrote: now it has.
    pub(super) fn tell_end_again(&mut self, id: Id) {
        if let Some(Entry::Process(child)) = self.entry(id) {
            child.told = false;
            self.ended.push(id);
        }
    }

    /// Tells of those that ended, after everything else in a turn.
    pub(super) fn end_children(&mut self, turn: &mut Turn) {
        for id in std::mem::take(&mut self.ended) {
            let Some(Entry::Process(child)) = self.entry(id) else { continue };
            if child.given_up {
                if child.give_up() {
                    self.remove(id);
                }
            } else if turn.starved && child.put_off < PUT_OFF {
                child.put_off += 1;
                self.ended.push(id);
            } else if !std::mem::replace(&mut child.told, true) {
                turn.sockets += 1;
                self.tell(Op::Exited, id, 0);
            }
        }
    }
}
