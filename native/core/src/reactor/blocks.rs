//! Blocks that JavaScript lends for large reads: its own `ArrayBuffer`s, so that bytes reach it without a copy.

use std::ptr::NonNull;

/// A lent block of [`crate::limits::CHUNK_BYTES`].
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub(crate) index: u32,
    pub(crate) memory: NonNull<u8>,
}

// SAFETY: JavaScript does not touch the memory while it is lent; the pointer's validity does not depend on a thread.
unsafe impl Send for Block {}

impl Block {
    /// A block.
    ///
    /// # Safety
    /// The memory is valid for writes of [`crate::limits::CHUNK_BYTES`] and untouched until JavaScript is told that
    /// it was filled, or the environment ends.
    #[must_use]
    pub unsafe fn new(index: u32, memory: NonNull<u8>) -> Self {
        Self { index, memory }
    }
}

/// The blocks that are lent and empty.
#[derive(Debug, Default)]
pub struct Blocks {
    empty: Vec<Block>,
    wanted: bool,
    lent: bool,
}

impl Blocks {
    /// A block to fill, if there is one.
    pub(crate) fn borrow(&mut self) -> Option<Block> {
        self.empty.pop()
    }

    /// Takes a block from JavaScript, or an unfilled one back.
    pub(crate) fn lend(&mut self, block: Block) {
        self.lent = true;
        self.empty.push(block);
    }

    /// True when JavaScript lends blocks and has all of them: it gives them back as it goes on.
    pub(crate) fn are_out(&self) -> bool {
        self.lent && self.empty.is_empty()
    }

    /// A stream reads enough for blocks to pay.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// True from the first time that blocks would have paid.
    pub(crate) fn wanted(&self) -> bool {
        self.wanted
    }
}
