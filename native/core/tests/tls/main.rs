//! TLS without input and output.

mod choices;
mod hellos;
mod writing;
