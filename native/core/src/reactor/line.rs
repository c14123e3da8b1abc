//! Who has something to do, in the order in which it is done.
//!
//! Three lines: those to look at in the next turn, and those of which only room in a batch, or a block, is wanted. Without
//! room the last two are not walked: a turn costs what it serves, however many are ready. Who waits in them comes before those
//! who were served last, so that a few that always have bytes do not use up every batch and every block.

use std::collections::VecDeque;

use crate::table::Id;

/// What somebody in a line waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// A block: at most as many are served as there are blocks, so they come first and take no room from others.
    Block = 0,
    /// Room in a batch.
    Room = 1,
    /// A turn.
    Turn = 2,
}

const ALL: [For; 3] = [For::Block, For::Room, For::Turn];

/// By id, not by slot: a socket that took the slot of one that closed while it waited here has not been told of any readiness
/// yet (one that is connecting would be taken for connected).
#[derive(Debug, Default)]
pub(super) struct Line {
    lines: [VecDeque<Id>; ALL.len()],
    /// How many at the front of each are part of the turn under way.
    due: [usize; ALL.len()],
}

impl Line {
    /// Everybody who is here now is part of the turn; how many.
    pub(super) fn begin(&mut self) -> usize {
        self.due = std::array::from_fn(|at| self.lines[at].len());
        self.len()
    }

    /// The turn is over.
    pub(super) fn end(&mut self) {
        self.due = Default::default();
    }

    /// True while somebody is part of the turn.
    pub(super) fn is_due(&self) -> bool {
        self.due.iter().any(|due| *due > 0)
    }

    /// The next of the turn, and what it waited for; `serves` says whose wish can be granted.
    pub(super) fn next(&mut self, serves: impl Fn(For) -> bool) -> Option<(Id, For)> {
        for reason in ALL {
            let at = reason as usize;
            if self.due[at] > 0 && serves(reason) {
                self.due[at] -= 1;
                return self.lines[at].pop_front().map(|id| (id, reason));
            }
        }
        None
    }

    pub(super) fn push_back(&mut self, reason: For, id: Id) {
        self.lines[reason as usize].push_back(id);
    }

    /// Back to the front, for a later turn: it got nothing, and neither would those behind it.
    pub(super) fn put_back(&mut self, reason: For, id: Id) {
        self.lines[reason as usize].push_front(id);
        self.due[reason as usize] = 0;
    }

    /// To the front of those who are looked at next, as part of the turn.
    pub(super) fn keep_in_turn(&mut self, id: Id) {
        self.lines[For::Turn as usize].push_front(id);
        self.due[For::Turn as usize] += 1;
    }

    /// True if somebody waits for this.
    pub(super) fn has(&self, reason: For) -> bool {
        !self.lines[reason as usize].is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
