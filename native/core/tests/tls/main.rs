//! TLS without input and output.

mod choices;
mod hellos;
#[cfg(feature = "rustls")]
mod peers;
#[cfg(feature = "rustls")]
mod sessions;
mod writing;
