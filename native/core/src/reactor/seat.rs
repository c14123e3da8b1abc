//! Who waits for readiness, libuv or the driver's thread.
//!
//! Nothing here guards data: a turn may run on either side under the reactor's lock. When the seat passes is the
//! [policy](super::policy)'s business.

/// Who holds the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Driver {
    /// libuv watches the reactor's descriptor; turns run on the JavaScript thread.
    Inline = 0,
    /// The environment's driver thread watches it, and turns run there.
    Offload = 1,
}

/// How the driver is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By load.
    Auto,
    /// Always this one.
    Fixed(Driver),
    /// At random, to find what depends on timing; the state of the generator.
    Random(u64),
}

impl Driver {
    /// The one that does not hold the seat.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Inline => Self::Offload,
            Self::Offload => Self::Inline,
        }
    }
}
