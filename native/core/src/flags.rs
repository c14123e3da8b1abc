//! A socket's answers of yes and no, in one word.

/// What each bit says is its owner's: [`crate::stream`], [`crate::dgram`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const fn new(set: u16) -> Self {
        Self(set)
    }

    /// Any of these.
    pub(crate) fn has(self, flags: u16) -> bool {
        self.0 & flags != 0
    }

    /// Of the first, the second and no other.
    pub(crate) fn has_only(self, of: u16, these: u16) -> bool {
        self.0 & of == these
    }

    pub(crate) fn set(&mut self, flags: u16) {
        self.0 |= flags;
    }

    pub(crate) fn clear(&mut self, flags: u16) {
        self.0 &= !flags;
    }
}
