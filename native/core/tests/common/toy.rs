//! A layer that is none of the world's, so that whatever goes wrong with it is the seam's fault: frames with their length before
//! them, their bytes disguised by how many frames went before, now and then a frame that only the other layer sees, and a last one.
//!
//! Also read by the unit tests of the crate, so it names nothing but the trait.

use std::sync::{Arc, Mutex};

use super::{Errno, Layer};

/// Bytes of a frame's head: the length of what follows, its kind in the uppermost.
pub(crate) const HEAD: usize = 4;
/// Most bytes in a frame, as in a record of TLS.
const MOST: usize = 16 * 1024;
/// After so many frames of bytes one says how many have come.
const ECHO_AFTER: u32 = 3;
/// What it answers to bytes that are no frames of its kind.
pub(crate) const NONSENSE: Errno = -libc::EBADMSG;
/// What the end in the middle of a frame means to it.
pub(crate) const CUT: Errno = -libc::EPROTO;

const BYTES: u8 = 0;
/// How many frames of bytes have come.
const ECHO: u8 = 1;
const LAST: u8 = 2;
/// The first frame of a toy that introduces itself: until the other's is there, and thought over, it seals nothing.
const HELLO: u8 = 3;

/// How the thinking over goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thinks {
    /// There is nothing to think over.
    Never,
    Well,
    /// It panics.
    Badly,
}

#[derive(Debug)]
pub(crate) struct Toy {
    thinks: Thinks,
    /// It thinks once it gets through here.
    gate: Arc<Mutex<()>>,
    /// The other's hello came, and has not been thought over.
    asked: bool,
    open: bool,
    unread: Vec<u8>,
    ready: Vec<u8>,
    taken: usize,
    /// Frames, of any kind, that were sealed and opened.
    sealed: u32,
    opened: u32,
    /// Frames of bytes.
    sent: u32,
    came: u32,
    /// How many of ours the other has told of.
    pub(crate) echoed: u32,
    last: bool,
}

impl Toy {
    pub(crate) fn new() -> Self {
        Self::that(Thinks::Never)
    }

    pub(crate) fn that(thinks: Thinks) -> Self {
        Self {
            thinks,
            gate: Arc::default(),
            asked: false,
            open: thinks == Thinks::Never,
            unread: Vec::new(),
            ready: Vec::new(),
            taken: 0,
            sealed: 0,
            opened: 0,
            sent: 0,
            came: 0,
            echoed: 0,
            last: false,
        }
    }

    /// One that thinks when it gets through a gate.
    pub(crate) fn behind(gate: &Arc<Mutex<()>>) -> Self {
        Self { gate: Arc::clone(gate), ..Self::that(Thinks::Well) }
    }

    /// Hides bytes, and finds them again.
    fn disguise(frame: u32, bytes: &mut [u8]) {
        let key = frame.wrapping_mul(0x9e37_79b9) ^ 0x5a5a_5a5a;
        let (words, rest) = bytes.as_chunks_mut::<4>();
        for word in words {
            *word = (u32::from_le_bytes(*word) ^ key).to_le_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(key.to_le_bytes()) {
            *byte ^= key;
        }
    }

    fn frame(&mut self, kind: u8, length: usize, content: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        let start = out.len();
        let head = u32::try_from(length).expect("small") | u32::from(kind) << 24;
        out.extend(head.to_le_bytes());
        content(out);
        assert_eq!(out.len(), start + HEAD + length);
        Self::disguise(self.sealed, &mut out[start..]);
        self.sealed += 1;
    }

    fn read_frames(&mut self, out: &mut Vec<u8>) -> Result<(), Errno> {
        let mut at = 0;
        while !self.asked && self.unread.len() - at >= HEAD {
            let mut head = [0; HEAD];
            head.copy_from_slice(&self.unread[at..at + HEAD]);
            Self::disguise(self.opened, &mut head);
            let (length, kind) = ((u32::from_le_bytes(head) & 0xff_ffff) as usize, head[3]);
            if length > MOST || kind > HELLO || self.last {
                return Err(NONSENSE);
            }
            if self.unread.len() - at < HEAD + length {
                break;
            }
            let mut content = self.unread[at..at + HEAD + length].to_vec();
            Self::disguise(self.opened, &mut content);
            let content = &content[HEAD..];
            at += HEAD + length;
            self.opened += 1;
            match kind {
                BYTES => {
                    self.ready.extend(content);
                    self.came += 1;
                    if self.came.is_multiple_of(ECHO_AFTER) {
                        let came = self.came.to_le_bytes();
                        self.frame(ECHO, came.len(), |out| out.extend(came), out);
                    }
                }
                ECHO => {
                    let Ok(came) = content.try_into().map(u32::from_le_bytes) else { return Err(NONSENSE) };
                    if came > self.sent || came <= self.echoed {
                        return Err(NONSENSE);
                    }
                    self.echoed = came;
                }
                HELLO => self.asked = true,
                _ => self.last = true,
            }
        }
        self.unread.drain(..at);
        Ok(())
    }
}

impl Layer for Toy {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.thinks != Thinks::Never {
            self.frame(HELLO, 0, |_| (), out);
        }
    }

    fn open(&mut self, wire: &mut [u8], out: &mut Vec<u8>) -> Result<(), Errno> {
        assert!(!self.asked, "nothing is opened while there is something to think over");
        assert_eq!(self.ready(), 0, "nor while something lies ready");
        self.unread.extend(&*wire);
        // Its place is free for whatever a layer does there.
        wire.fill(0xee);
        self.read_frames(out)
    }

    fn ready(&self) -> usize {
        self.ready.len() - self.taken
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.ready().min(into.len());
        into[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        if self.ready() == 0 {
            self.ready.clear();
            self.taken = 0;
        }
        count
    }

    fn is_over(&self) -> bool {
        self.last
    }

    fn cut_short(&self) -> Errno {
        if self.unread.is_empty() { -4095 } else { CUT }
    }

    fn seals(&self) -> bool {
        self.open
    }

    fn seal(&mut self, pieces: &[&[u8]], out: &mut Vec<u8>) {
        assert!(self.open, "nothing is sealed sooner");
        // Borders of pieces are none of frames, and the other way round.
        let bytes = pieces.concat();
        for some in bytes.chunks(MOST) {
            self.sent += 1;
            self.frame(BYTES, some.len(), |out| out.extend(some), out);
        }
    }

    fn say_last(&mut self, out: &mut Vec<u8>) {
        self.open = false;
        self.frame(LAST, 0, |_| (), out);
    }

    fn has_work(&self) -> bool {
        self.asked
    }

    fn work(&mut self, out: &mut Vec<u8>) -> Result<(), Errno> {
        drop(self.gate.lock());
        assert_ne!(self.thinks, Thinks::Badly, "planted");
        self.asked = false;
        self.open = true;
        // What came behind the hello.
        self.read_frames(out)
    }
}
