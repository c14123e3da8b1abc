//! The thread's error queue as it was.

use crate::table::OpenSsl;

/// From its making to its end, what OpenSSL notes in this thread's error queue is taken out again: Node looks into that queue after calls
/// of its own, and what it found of ours would be told to the program.
pub(crate) struct Quiet<'a>(&'a OpenSsl);

impl<'a> Quiet<'a> {
    pub(crate) fn new(openssl: &'a OpenSsl) -> Self {
        // SAFETY: works on the queue of this thread.
        unsafe { (openssl.functions.ERR_set_mark)() };
        Self(openssl)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // SAFETY: as above. Where the queue was empty, and has no place for a mark, all of it goes.
        unsafe { (self.0.functions.ERR_pop_to_mark)() };
    }
}
